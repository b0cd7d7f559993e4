// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate_test

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/inflate"
)

// Tokens tile a block on both sides, and say where its bytes come from.
func TestTokens(t *testing.T) {
	text := strings.Repeat("a text of which much comes again, a text of which; ", 3000)
	for level := 1; level <= 9; level++ {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		w.Close()
		r := inflate.NewReader(bytes.NewReader(b.Bytes()), inflate.Options{Raw: true})
		plain, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		var tokens inflate.Tokens
		words := 0
		for _, block := range r.Blocks() {
			if block.Type == inflate.Stored {
				continue
			}
			src := bytes.NewReader(b.Bytes()[block.Start/8:])
			if err := tokens.Parse(src, block); err != nil {
				t.Fatal(err)
			}
			words += len(tokens.List)
			checkTokens(t, &tokens, block, plain)
		}
		if words < 100 {
			t.Errorf("level %d: %d code words", level, words)
		}
	}
}

func checkTokens(t *testing.T, tokens *inflate.Tokens, block inflate.Block, plain []byte) {
	t.Helper()
	last := len(tokens.List) - 1
	reach := int64(0)
	for i, token := range tokens.List[:last] {
		next := tokens.List[i+1]
		n := next.Offset - token.Offset
		if next.Bit <= token.Bit || n < 1 || n > 258 || token.Distance == 0 && n != 1 {
			t.Fatalf("%+v, then %+v", token, next)
		}
		from := token.Offset - int64(token.Distance)
		reach = max(reach, block.Offset-from)
		for k := int64(0); token.Distance > 0 && k < n; k++ {
			if plain[from+k] != plain[token.Offset+k] {
				t.Fatalf("%+v does not stand for its bytes", token)
			}
		}
	}
	end := tokens.List[last]
	if tokens.List[0].Bit != tokens.Header || tokens.List[0].Offset != block.Offset ||
		end.Bit+int64(tokens.EndBits) != block.End || end.Offset != block.Offset+block.Length {
		t.Errorf("tokens from %d to %+v of block %+v", tokens.Header, end, block)
	}
	if reach != int64(block.Reach) {
		t.Errorf("reach %d, the map says %d", reach, block.Reach)
	}
}

// A source that ends, anywhere: an error.
func TestTokensTruncated(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	io.WriteString(w, strings.Repeat("some text; ", 50)+"its end")
	w.Close()
	r := inflate.NewReader(bytes.NewReader(b.Bytes()), inflate.Options{Raw: true})
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	block := r.Blocks()[0]
	var tokens inflate.Tokens
	for n := range block.End / 8 {
		if err := tokens.Parse(bytes.NewReader(b.Bytes()[:n]), block); err == nil {
			t.Errorf("no error with %d of %d bits", 8*n, block.End)
		}
	}
}
