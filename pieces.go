// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package flatten

import (
	"github.com/seed-81b0d42e/flatten/pkg/plan"
	"github.com/seed-81b0d42e/flatten/pkg/splice"
	"github.com/seed-81b0d42e/flatten/pkg/whiteout"
)

// Pieces divides a plan as Write does that is given these options: into what is
// copied as compressed blocks and what is compressed here. Of the layers it reads
// the blocks that a cut goes through; it does not verify them (see
// [Merged.Verify]).
func (m *Merged) Pieces(p *plan.Plan, opts Options) ([]splice.Piece, error) {
	src := m.sources(nil)
	defer src.close()
	return splice.Pieces(p, src.layers, opts.splice())
}

// Hidden lists what later layers take away from earlier ones: see
// [whiteout.Hidden]. The options are those of Load.
func (m *Merged) Hidden(opts Options) ([]whiteout.HiddenPath, error) {
	return whiteout.Hidden(m.View.Layers, opts.merge())
}
