// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Whatever is JSON is read to its end, and a key that is added to an object that
// has it is found.
func FuzzCheckKeys(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `"a"`, ` {"a" : [1, {"b":"}"} , "\"" , -1e5] , "c\\" : {"a":{}} } `, `{"a\u0062":1,"ab ":{"ab":[[]]}}`,
		`{"Labels":{"a":"","A":""},"annotations":{"x":{"y":1,"Y":2}}}`, `[{"a":1},{"a":1}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		var object map[string]json.RawMessage
		err := image.CheckKeys(raw)
		if json.Unmarshal(raw, &object) != nil || object == nil {
			return
		}
		for key := range object {
			name, _ := json.Marshal(key)
			again := strings.Replace(string(raw), "{", fmt.Sprintf("{%s:1,", name), 1)
			if json.Valid([]byte(again)) && image.CheckKeys([]byte(again)) == nil {
				t.Errorf("%s has a key twice, %s (%v)", again, name, err)
			}
		}
		// What Go writes has no key twice, unless they differ in case alone.
		clean, _ := json.Marshal(object)
		folded := map[string]bool{}
		for key := range object {
			if folded[strings.ToLower(key)] {
				return
			}
			folded[strings.ToLower(key)] = true
		}
		if err == nil && image.CheckKeys(clean) != nil {
			t.Errorf("%s: %v", clean, image.CheckKeys(clean))
		}
	})
}
