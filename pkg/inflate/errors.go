// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"errors"
	"fmt"
	"io"
)

// ErrTooManyBlocks is returned when a source holds more blocks than
// Options.MaxBlocks allows.
var ErrTooManyBlocks = errors.New("inflate: too many blocks")

// CorruptError says that the source breaks RFC 1951 or RFC 1952.
type CorruptError struct {
	// Bit is where: the first bit of the field or code word that cannot be
	// right, counted from the first byte of the source. Code lengths that do
	// not make a Huffman code are reported one past their last bit.
	Bit    int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("inflate: corrupt input at bit %d: %s", e.Bit, e.Reason)
}

// TruncatedError says that the source ended too early.
// It unwraps to io.ErrUnexpectedEOF.
type TruncatedError struct {
	Bit   int64  // first bit of the field or code word that is not all there
	Where string // what was being read
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("inflate: input ends in %s at bit %d: %v", e.Where, e.Bit, io.ErrUnexpectedEOF)
}

// Unwrap returns io.ErrUnexpectedEOF.
func (e *TruncatedError) Unwrap() error { return io.ErrUnexpectedEOF }
