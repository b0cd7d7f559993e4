// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package splice

import (
	"errors"
	"io"
	"sort"

	"github.com/seed-81b0d42e/flatten/pkg/image"
	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// splitter splits blocks of layers. It reads their code words, which takes no
// byte before them, and keeps those of the last block, since cuts come in pairs.
type splitter struct {
	layers []Layer
	layer  int32
	block  int32
	known  bool
	tokens inflate.Tokens
}

var _ Splitter = (*splitter)(nil)

// Split implements Splitter.
func (s *splitter) Split(layer, block int32, from, to int64) (*Part, error) {
	b := &s.layers[layer].Blocks[block]
	if b.Type == inflate.Stored {
		return &Part{From: max(from, b.Offset), To: to}, nil
	}
	if err := s.parse(layer, block, b); err != nil {
		return nil, &LayerError{int(layer), err}
	}
	// The last code word that ends within, then back to one that refers to what
	// lies before.
	list := s.tokens.List
	last := sort.Search(len(list), func(i int) bool { return list[i].Offset > to }) - 1
	first := last
	for first > 0 && list[first-1].Offset >= from && list[first-1].Offset-int64(list[first-1].Distance) >= from {
		first--
	}
	if last < 0 || list[first].Offset < from {
		return nil, nil
	}
	p := &Part{
		From: list[first].Offset, To: list[last].Offset,
		Header: s.tokens.Header, Begin: list[first].Bit, Finish: list[last].Bit,
		End: s.tokens.End, EndBits: s.tokens.EndBits,
	}
	if last == len(list)-1 {
		p.Finish, p.EndBits = b.End, 0
	}
	return p, nil
}

// parse makes the tokens those of a block.
func (s *splitter) parse(layer, block int32, b *inflate.Block) error {
	if s.known && s.layer == layer && s.block == block {
		return nil
	}
	s.known = false
	first, end := b.Start/8, (b.End+7)/8
	if err := s.tokens.Parse(io.NewSectionReader(s.layers[layer].Blob, first, end-first), *b); err != nil {
		var corrupt *inflate.CorruptError
		var truncated *inflate.TruncatedError
		if errors.As(err, &corrupt) || errors.As(err, &truncated) {
			err = image.Corruptf("blob has changed since it was scanned: %w", err)
		}
		return err
	}
	s.layer, s.block, s.known = layer, block, true
	return nil
}
