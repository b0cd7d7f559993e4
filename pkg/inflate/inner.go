// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package inflate

import "encoding/binary"

// copy8 and copy16 are written so that no bounds check is left.
func copy8(out *outBuffer, to, from int) {
	*(*[8]byte)(out[to&(outSize-1):]) = *(*[8]byte)(out[from&(outSize-1):])
}

func copy16(out *outBuffer, to, from int) {
	*(*[16]byte)(out[to&(outSize-1):]) = *(*[16]byte)(out[from&(outSize-1):])
}

// inner is the loop that takes nearly all the time. It decodes while margin
// bytes of input are in sight and out is not full, and leaves the reader
// between two code words. When it meets an error it leaves the reader where it
// found it, for careful to go there and say what it is: what it wrote to
// out[w:] until then is what careful will write.
func (r *Reader) inner() outcome {
	out := r.out
	w, full := r.w, r.full
	nearest, low := r.nearest, r.low
	pos, stop := r.bit>>3, r.end-margin+7
	// The low nbits of hold are the next bits of the source. Those above are
	// the ones after them, or zeros, so that refilling may set them again.
	hold := binary.LittleEndian.Uint64(r.in[pos&(inSize-1):]) >> (r.bit & 7)
	nbits := uint(56 - r.bit&7)
	pos += 7
	e := r.lit[hold&(1<<litBits-1)]
	done := more

	for pos <= stop && w < full {
		// There are 56 bits or more, and e is the entry they begin with.
		if int32(e) < 0 {
			out[w&(outSize-1)] = byte(e >> 16)
			w++
			hold >>= e & 63
			nbits -= uint(e & 63)
			e = r.lit[hold&(1<<litBits-1)]
			if int32(e) < 0 {
				out[w&(outSize-1)] = byte(e >> 16)
				w++
				hold >>= e & 63
				nbits -= uint(e & 63)
				e = r.lit[hold&(1<<litBits-1)]
				if int32(e) < 0 {
					out[w&(outSize-1)] = byte(e >> 16)
					w++
					hold >>= e & 63
					nbits -= uint(e & 63)
					goto next
				}
			}
		}
		if e&isSpecial != 0 {
			if e&isSubtable != 0 {
				hold >>= litBits
				nbits -= litBits
				e = r.lit[(e>>16+uint32(hold)&(1<<(e>>8&15)-1))&(litSize-1)]
			}
			if int32(e) < 0 {
				out[w&(outSize-1)] = byte(e >> 16)
				w++
				hold >>= e & 63
				nbits -= uint(e & 63)
				goto next
			}
			if e&isSpecial != 0 {
				if e&isBad != 0 {
					return invalid
				}
				hold >>= e & 63
				nbits -= uint(e & 63)
				done = atEnd
				break
			}
		}
		{
			length := int(e>>16) + int(hold&(1<<(e&63)-1)>>(e>>8&63))
			hold >>= e & 63
			nbits -= uint(e & 63)
			if nbits < 28 {
				hold |= binary.LittleEndian.Uint64(r.in[pos&(inSize-1):]) << (nbits & 63)
				pos += 7 - int(nbits>>3)
				nbits |= 56
			}
			e = r.dist[hold&(1<<distBits-1)]
			if e&isSpecial != 0 {
				if e&isBad != 0 {
					return invalid
				}
				hold >>= distBits
				nbits -= distBits
				e = r.dist[(e>>16+uint32(hold)&(1<<(e>>8&15)-1))&(distSize-1)]
				if e&isSpecial != 0 {
					return invalid
				}
			}
			dist := int(e>>16) + int(hold&(1<<(e&63)-1)>>(e>>8&63))
			hold >>= e & 63
			nbits -= uint(e & 63)

			from := w - dist
			if from < nearest {
				if from < low {
					return invalid
				}
				nearest = from
			}
			// The next entry is on its way while the match is copied.
			hold |= binary.LittleEndian.Uint64(r.in[pos&(inSize-1):]) << (nbits & 63)
			pos += 7 - int(nbits>>3)
			nbits |= 56
			e = r.lit[hold&(1<<litBits-1)]

			end := w + length
			if dist >= 16 {
				copy16(out, w, from)
				copy16(out, w+16, from+16)
				for w += 32; w < end; w += 16 {
					from += 16
					copy16(out, w, from+16)
				}
			} else if dist == 1 {
				v := uint64(out[from&(outSize-1)]) * 0x0101010101010101
				for ; w < end; w += 8 {
					binary.LittleEndian.PutUint64(out[w&(outSize-1):], v)
				}
			} else {
				for dist < 8 { // what repeats gets twice as long
					copy8(out, w, from)
					w += dist
					dist += dist
				}
				for ; w < end; w += 8 {
					copy8(out, w, from)
					from += 8
				}
			}
			w = end
			continue
		}
	next:
		hold |= binary.LittleEndian.Uint64(r.in[pos&(inSize-1):]) << (nbits & 63)
		pos += 7 - int(nbits>>3)
		nbits |= 56
		e = r.lit[hold&(1<<litBits-1)]
	}
	r.w = w
	r.nearest = nearest
	r.bit = pos<<3 - int(nbits)
	return done
}
