// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// FuzzPackageJSON edits a package.json. The property: the result is JSON, it
// differs by what was asked for and by nothing else, the bytes that an edit
// replaces are white space or one of the two names, and a second edit finds
// nothing to do.
func FuzzPackageJSON(f *testing.F) {
	for _, kind := range kinds {
		for _, seed := range kind.seeds {
			f.Add([]byte(seed), "code")
		}
	}
	for _, seed := range []string{
		"", "{}", `{"nodePackage":{}}`, `{"nodePackage":{"assets":[],"interfaces":[]}}`,
		"{\r\n\t\"nodePackage\" :\r\n\t{\r\n\t\t\"assets\": \r\n\t\t[\r\n\t\t]}}",
		`{"nodePackage":{"assets":[{"name":"x","implementations":[{"type":"container"}]}]}}`,
		`{"nodePackage":{"assets":[{"name":"x"}],"\u0061ssets":[]}}`,
		`{"nodePackage":{"assets":[{"name":"x","implementations":[]},{"name":"\u0078y"}]}}`,
		`{"nodePackage":{"assets":[{"name":"x","implementations":[{"type":"container","assetUri":{"a":[1]},"descriptorUri":"A.tar.gz"}]}]}}`,
		`{"nodePackage":{"interfaces":[{"asset":"x"},{"name":"y_interface"}]}, "n": 1e999, "s": "\ud800"}`,
	} {
		f.Add([]byte(seed), "x")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		asset := Asset{name, "A.tar.gz", "D.json"}
		if CheckAssetName(name) != nil {
			return
		}
		before := slices.Clone(text)
		edited, err := EditPackage("package.json", text, asset)
		if !bytes.Equal(text, before) {
			t.Fatal("the argument was changed")
		}
		if err != nil {
			return
		}
		if !json.Valid(edited.Text) || !json.Valid(edited.Definition) {
			t.Fatalf("not JSON: %s", edited.Text)
		}
		if got := replay(t, before, edited); !bytes.Equal(got, edited.Text) {
			t.Fatalf("the edits make\n%s\nand the result is\n%s", got, edited.Text)
		}
		if want, got := expected(t, before, asset, edited), decode(t, edited.Text); !reflect.DeepEqual(want, got) {
			t.Fatalf("%s\nbecame\n%s", before, edited.Text)
		}
		again, err := EditPackage("package.json", edited.Text, asset)
		if err != nil || !bytes.Equal(again.Text, edited.Text) || again.Interface != "" || len(again.Superseded) > 0 {
			t.Fatalf("a second time: %v, %+v", err, again)
		}
	})
}

// replay carries the edits out. What they replace is white space or one value.
func replay(t *testing.T, text []byte, edited *PackageEdit) []byte {
	for _, e := range edited.edits {
		old := bytes.TrimSpace(text[e.start:e.end])
		if len(old) > 0 && (!json.Valid(old) || !slices.Contains([]string{`"A.tar.gz"`, `"D.json"`}, e.text)) {
			t.Fatalf("%q was replaced by %q", old, e.text)
		}
		text = slices.Concat(text[:e.start], []byte(e.text), text[e.end:])
	}
	return text
}

func decode(t *testing.T, text []byte) any {
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// expected makes the change on what the text means.
func expected(t *testing.T, text []byte, a Asset, edited *PackageEdit) any {
	type m = map[string]any
	root := decode(t, text).(m)
	body := root["nodePackage"].(m)
	implementation := m{"type": "container", "assetUri": a.AssetURI, "descriptorUri": a.DescriptorURI}
	assets, _ := body["assets"].([]any)
	known := false
	for _, v := range assets {
		entry, _ := v.(m)
		if name, ok := entry["name"].(string); !ok || name != a.Name {
			continue
		}
		known = true
		implementations, _ := entry["implementations"].([]any)
		if len(implementations) == 0 {
			entry["implementations"] = []any{implementation}
		}
		for _, v := range implementations {
			if v, _ := v.(m); v["type"] == "container" {
				v["assetUri"], v["descriptorUri"] = a.AssetURI, a.DescriptorURI
			}
		}
	}
	if !known {
		body["assets"] = append(assets, m{"name": a.Name, "implementations": []any{implementation}})
	}
	if edited.Interface != "" {
		if known || edited.Interface != a.Interface() {
			t.Fatalf("the interface %s was added", edited.Interface)
		}
		interfaces, _ := body["interfaces"].([]any)
		body["interfaces"] = append(interfaces, m{
			"name": edited.Interface, "category": "business_logic", "asset": a.Name,
			"inputs":  []any{m{"name": "video_in", "type": "media"}},
			"outputs": []any{m{"name": "video_out", "type": "media"}},
		})
	}
	return root
}
