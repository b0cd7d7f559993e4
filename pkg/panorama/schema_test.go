// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// published is the folder with what was published of the format: the variable
// FLATTEN_PANORAMA, or shared/panorama beside the checkout.
func published(t *testing.T) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("FLATTEN_PANORAMA"), filepath.FromSlash("../../../shared/panorama"))
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no published schemas: %v; FLATTEN_PANORAMA says where they are", err)
	}
	return dir
}

// kinds are the three formats: the published schema, ours, and documents that
// between them have every field.
var kinds = []struct {
	file  string
	ours  schema
	seeds []string
}{
	{"assetDescriptor.schema.json", descriptorSchema, []string{
		`{"runtimeDescriptor": {"envelopeVersion": "2021-01-01",
			"entry": {"path": "python3", "name": "/app/x.py", "arguments": ["-v", ""], "environment": [{"name": "A", "value": ""}]},
			"events": [{"type": "onExit", "handler": "h", "description": "d"},
				{"type": "onPartialInput", "handler": "h", "inputs": ["a"]},
				{"type": "onCompleteInput", "handler": "h", "inputs": []}]}}`,
		`{"mlModelDescriptor": {"envelopeVersion": "2021-01-01", "framework": "PYTORCH", "frameworkVersion": "1.8",
			"precisionMode": "FP16", "inputs": [{"name": "data", "type": "float32", "shape": [1, 3, 224.0, 10e-1]}]}}`,
		`{}`,
	}},
	{"nodePackage.schema.json", packageSchema, []string{
		`{"nodePackage": {"envelopeVersion": "2021-01-01", "name": "A-b_1", "version": "1.0", "description": "d",
			"assets": [{"name": "co$de", "description": "d", "implementations": [
				{"type": "container", "assetUri": "a.tar.gz", "descriptorUri": "d.json", "description": "d", "requirements": [
					{"type": "ota", "minVersion": "1"}, {"type": "ota", "maxVersion": "2"},
					{"type": "device", "name": "panorama_devkit"},
					{"type": "hardware_access", "inferenceAccelerators": [
						{"deviceType": "nvhost_gpu", "sharedResourcePolicy": {"policy": "allow_all", "other": 1}}]}]}]}],
			"interfaces": [{"name": "i", "category": "business_logic", "asset": "code", "description": "d",
				"inputs": [{"name": "video_in", "type": "media", "maxConnections": 0, "description": "d"},
					{"name": "s", "type": "string", "default": "", "constraintRegex": ".", "reference": true, "referenceSource": "r", "more": 1},
					{"name": "b", "type": "boolean", "default": true, "maxConnections": 1.0},
					{"name": "i", "type": "int32", "default": -3}, {"name": "f", "type": "float32", "default": 1.5e3}],
				"outputs": [{"name": "video_out", "type": "media", "description": "d"}, {"name": "s", "type": "string"},
					{"name": "b", "type": "boolean"}, {"name": "i", "type": "int32"}, {"name": "f", "type": "float32"}],
				"network": {"inboundPorts": [{"port": 80, "description": "d"}, {"port": 65535}]}}]}}`,
		`{}`,
	}},
	{"nodeGraph.schema.json", graphSchema, []string{
		`{"nodeGraph": {"envelopeVersion": "2021-01-01", "description": "d",
			"packages": [{"name": "123::A-b", "version": "1.0", "patchVersion": "p", "generatedPatchVersion": "g", "uri": "u"}],
			"nodes": [{"name": "n", "interface": "1::A.i", "overridable": false, "overrideMandatory": true, "launch": "onSignal",
					"decorator": {"title": "t", "description": "d", "constraintText": "c", "constraintRegex": "r"}},
				{"name": "s", "interface": "string", "value": "", "decorator": {}},
				{"name": "b", "interface": "boolean", "value": true}, {"name": "i", "interface": "int32", "value": 7},
				{"name": "f", "interface": "float32", "value": 0.5}],
			"edges": [{"producer": "n.video_out", "consumer": "n.s"}],
			"networkRoutingRules": [{"node": "n", "containerPort": 80, "hostPort": -1, "decorator": {"title": "t"}}]}}`,
		`{}`,
	}},
}

// For every document that is one change away from one that has all fields, and
// for many that are more, the published schema and ours say the same.
func TestPublishedSchemas(t *testing.T) {
	dir := published(t)
	for _, kind := range kinds {
		t.Run(kind.file, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join(dir, "schema", kind.file))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := jsonschema.NewCompiler().Compile(path)
			if err != nil {
				t.Fatal(err)
			}
			var valid []string
			invalid := 0
			judge := func(text []byte) {
				if compare(t, theirs, kind.ours, text) {
					valid = append(valid, string(text))
				} else {
					invalid++
				}
			}
			for _, seed := range kind.seeds {
				judge([]byte(seed))
				for _, text := range changed([]byte(seed)) {
					judge(text)
				}
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 10 {
				texts := changed([]byte(valid[random.IntN(len(valid))]))
				for range 50 {
					judge(texts[random.IntN(len(texts))])
				}
			}
			t.Logf("%d valid documents, %d invalid ones", len(valid), invalid)
			if len(valid) < 200 || invalid < 1000 {
				t.Errorf("%d valid and %d invalid documents are too few to tell", len(valid), invalid)
			}
		})
	}
}

// compare demands one verdict of two schemas and returns it.
func compare(t *testing.T, theirs *jsonschema.Schema, ours schema, text []byte) bool {
	t.Helper()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	d, err := parse("x", text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	found := problems(d, ours)
	invalid := theirs.Validate(instance)
	if (invalid == nil) != (len(found) == 0) {
		t.Fatalf("%s\nours: %q\ntheirs: %v", text, found, invalid)
	}
	return invalid == nil
}

// changed is every document that is one small change away from one.
func changed(text []byte) (texts [][]byte) {
	var root any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		panic(err)
	}
	alter(root, func(to any) { root = to }, func() {
		text, err := json.Marshal(root)
		if err != nil {
			panic(err)
		}
		texts = append(texts, text)
	})
	return texts
}

// alter makes one change after the other to a value, which set replaces, and
// within it, calls done after each and undoes it.
func alter(v any, set func(any), done func()) {
	try := func(to any) {
		set(to)
		done()
	}
	for _, to := range instead(v) {
		try(to)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"x", "default", "constraintRegex", "reference", "value", "inputs", "launch"} {
			for _, to := range []any{"a", json.Number("1"), true} {
				more := maps.Clone(v)
				more[key] = to
				try(more)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			less := maps.Clone(v)
			delete(less, key)
			try(less)
		}
		set(v)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			alter(v[key], func(to any) { v[key] = to }, done)
		}
	case []any:
		if len(v) > 0 {
			try(v[1:])
			for _, n := range []int{10, 11} {
				try(slices.Repeat(v, n)[:n])
			}
		}
		set(v)
		for i := range v {
			alter(v[i], func(to any) { v[i] = to }, done)
		}
	}
	set(v)
}

// instead are values in place of another one: any at all, and such as are like it.
func instead(old any) []any {
	all := []any{"", "a", json.Number("1"), json.Number("0.5"), true, nil, []any{}, []any{"a"}, map[string]any{}}
	switch old := old.(type) {
	case string:
		for _, s := range []string{
			"A-b", "A_b$", "1.0", "1.0.0", ".1", "1::a", "1::a.b", "a.b", "a.b.c", " ", "ü", "a\n", old + "-", old + ".", "x" + old,
			"media", "string", "boolean", "int32", "float32", "onExit", "onPartialInput", "ota", "device", "model", "onDemand",
		} {
			all = append(all, s)
		}
		for _, n := range []int{2, 3, 10, 11, 50, 51, 128, 129, 255, 256} {
			all = append(all, strings.Repeat("x", n), strings.Repeat("ä", n), "1."+strings.Repeat("0", n-2), "1::"+strings.Repeat("a", max(0, n-3)))
		}
	case json.Number:
		for _, n := range strings.Fields("0 -1 1.5 1.50e1 65535 65536 1e400 -0.0 12300e-2 12300e-3 0.10E+1") {
			all = append(all, json.Number(n))
		}
	case bool:
		all = append(all, !old)
	}
	return all
}

// What the format allows and what it does not, in short.
func TestFormat(t *testing.T) {
	for _, kind := range kinds {
		for _, seed := range kind.seeds {
			d, err := parse("x", []byte(seed))
			if err != nil {
				t.Fatal(err)
			}
			if found := problems(d, kind.ours); len(found) > 0 {
				t.Errorf("%s: %q", seed, found)
			}
		}
	}
	for _, tc := range []struct {
		schema     schema
		text, want string
	}{
		{descriptorSchema, `[]`, `x:1:1: not an object`},
		{descriptorSchema, `{"a": 1}`, `x:1:2: no key "a" belongs here, but mlModelDescriptor, runtimeDescriptor`},
		{descriptorSchema, "{\n\t\"runtimeDescriptor\": {}}", `x:2:23: runtimeDescriptor: envelopeVersion is missing`},
		{descriptorSchema, `{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"path": ""}}}`,
			`x:1:67: runtimeDescriptor.entry: path needs name beside it`},
		{descriptorSchema, `{"runtimeDescriptor": {"envelopeVersion": "2021-01-01", "entry": {"name": "n", "arguments": ["a", 1]}}}`,
			`x:1:99: runtimeDescriptor.entry.arguments[1]: not a string`},
		{packageSchema, `{"nodePackage": {"envelopeVersion": "2021-01-01", "interfaces": []}}`,
			`x:1:65: nodePackage.interfaces: 0 items, at least 1 are needed`},
		{packageSchema, `{"nodePackage": {"envelopeVersion": "2021-01-01", "version": "1", "interfaces": [{"name": "a", "category": "ml_model"}]}}`,
			`x:1:62: nodePackage.version: "1" does not match ^[0-9]+\.[0-9]+$`},
		{graphSchema, `{"nodeGraph": {"envelopeVersion": "2021-01-01", "packages": [{"name": "a::b", "version": "1.0"}], "nodes": [{"name": "n", "interface": "int32", "value": 0.5}]}}`,
			`x:1:154: nodeGraph.nodes[0].value: not an integer`},
	} {
		d, err := parse("x", []byte(tc.text))
		if err != nil {
			t.Fatal(err)
		}
		if found := problems(d, tc.schema); len(found) != 1 || found[0] != tc.want {
			t.Errorf("%s: %q, want %q", tc.text, found, tc.want)
		}
	}
}

func TestIsInteger(t *testing.T) {
	for s, want := range map[string]bool{
		"0": true, "-0": true, "0.0": true, "1": true, "1.0": true, "1.5": false, "15e-1": false, "10e-1": true,
		"1.5e1": true, "1.50e0": false, "0e-99999999999999999999": true, "1e99999999999999999999": true,
		"1e-99999999999999999999": false, "100E-2": true, "100e-3": false, "-2.500e+3": true,
	} {
		if got := isInteger(s); got != want {
			t.Errorf("isInteger(%s) = %v", s, got)
		}
	}
}
