// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// The block map of what printf aaaaaaaaaa | gzip -n makes.
func Example() {
	src := bytes.NewReader([]byte{
		0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
		0x4b, 0x4c, 0x84, 0x01, 0x00,
		0xf0, 0xcd, 0x11, 0x4c,
		0x0a, 0x00, 0x00, 0x00,
	})
	r := inflate.NewReader(src, inflate.Options{})
	for {
		chunk, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", chunk)
	}
	for _, b := range r.Blocks() {
		fmt.Printf("bits %d to %d: %v, final %v, %d bytes at %d, CRC %08x, reach %d\n",
			b.Start, b.End, b.Type, b.Final, b.Length, b.Offset, b.CRC, b.Reach)
	}
	// Output:
	// aaaaaaaaaa
	// bits 80 to 118: fixed, final true, 10 bytes at 0, CRC 4c11cdf0, reach 0
}

// Random access: decoding begins at the checkpoint before the place that is
// wanted, not at the beginning.
func ExampleResume() {
	gz := mustGzip("Lorem ipsum, ", "dolor sit amet, ", "consectetur ", "adipiscing elit, ", "sed do eiusmod")
	r := inflate.NewReader(bytes.NewReader(gz), inflate.Options{Every: 16})
	if _, err := io.Copy(io.Discard, r); err != nil {
		log.Fatal(err)
	}

	const want = 41 // the offset of "adipiscing"
	var at inflate.Checkpoint
	for _, c := range r.Checkpoints() {
		if r.Blocks()[c.Block].Offset <= want {
			at = c
		}
	}
	block := r.Blocks()[at.Block]
	skip := want - block.Offset
	src := bytes.NewReader(gz[block.Start/8:]) // a file would be sought
	resumed := inflate.Resume(src, block, at.Window, inflate.Options{Limit: skip + 10})
	text, err := io.ReadAll(resumed)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text[skip:])
	// Output: adipiscing
}
