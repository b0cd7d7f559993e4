// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package whiteout

import (
	"strings"

	"github.com/seed-81b0d42e/flatten/pkg/toc"
)

// xattrs are the extended attributes that an entry's header carries and a
// container would have, sorted by key.
func xattrs(e *toc.Entry) []toc.Record {
	if e.Extra == nil {
		return nil
	}
	var kept []toc.Record
	for _, r := range e.Extra.Records {
		if strings.HasPrefix(r.Key, toc.XattrPrefix) && refusal(e.Type, r.Key) == 0 {
			kept = append(kept, r)
		}
	}
	return kept
}

// refusal returns the rule by which a container would not have an extended
// attribute, 0 when it would: the kernel's own trusted.overlay.… (37), other
// trusted.… (106), and user.… on what is neither file nor directory (107).
func refusal(typ byte, key string) int {
	name := key[len(toc.XattrPrefix):]
	switch {
	case strings.HasPrefix(name, "trusted.overlay."):
		return 37
	case strings.HasPrefix(name, "trusted."):
		return 106
	case strings.HasPrefix(name, "user."):
		if typ != toc.TypeReg && typ != toc.TypeDir && typ != toc.TypeLink {
			return 107
		}
	}
	return 0
}

// checkXattrs warns of attributes that are dropped.
func (r *replay) checkXattrs(e *toc.Entry) {
	if e.Extra == nil {
		return
	}
	for _, rec := range e.Extra.Records {
		if !strings.HasPrefix(rec.Key, toc.XattrPrefix) {
			continue
		}
		if rule := refusal(e.Type, rec.Key); rule != 0 {
			r.warnHere(rule, "the extended attribute %q is dropped", rec.Key[len(toc.XattrPrefix):])
		}
	}
}

// union merges two sorted lists of records, those of b winning. It is not nil.
func union(a, b []toc.Record) []toc.Record {
	merged := make([]toc.Record, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Key < b[0].Key:
			merged, a = append(merged, a[0]), a[1:]
		case len(a) == 0 || b[0].Key < a[0].Key:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged, a, b = append(merged, b[0]), a[1:], b[1:]
		}
	}
	return merged
}

// Dropped reports whether a container would not have the extended attribute
// that a PAX record of an entry stands for. Other records are never dropped.
func Dropped(typ byte, key string) bool {
	return strings.HasPrefix(key, toc.XattrPrefix) && refusal(typ, key) != 0
}
