// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A new asset and its interface look like the rest of the file, whatever that
// looks like, and nothing else changes.
func TestEditPackageAdds(t *testing.T) {
	for name, tc := range map[string]struct{ before, after string }{
		"the old tool's empty package": {
			`{
    "nodePackage":
    {
        "envelopeVersion": "2021-01-01",
        "name": "code",
        "assets": 
        [
        ],

        "interfaces": 
        [
        ]
    }
}`, `{
    "nodePackage":
    {
        "envelopeVersion": "2021-01-01",
        "name": "code",
        "assets": 
        [
            {
                "name": "x",
                "implementations": [
                    {
                        "type": "container",
                        "assetUri": "A.tar.gz",
                        "descriptorUri": "D.json"
                    }
                ]
            }
        ],

        "interfaces": 
        [
            {
                "name": "x_interface",
                "category": "business_logic",
                "asset": "x",
                "inputs": [
                    {
                        "name": "video_in",
                        "type": "media"
                    }
                ],
                "outputs": [
                    {
                        "name": "video_out",
                        "type": "media"
                    }
                ]
            }
        ]
    }
}`},
		"one line": {
			`{"nodePackage":{"assets":[],"interfaces":[{"asset":"x"}]}}` + "\n",
			`{"nodePackage":{"assets":[{"name":"x","implementations":[{"type":"container","assetUri":"A.tar.gz","descriptorUri":"D.json"}]}],"interfaces":[{"asset":"x"}]}}` + "\n",
		},
		"one line with spaces, as Python writes it": {
			`{"nodePackage": {"assets": [{"name": "y"}], "interfaces": [{"asset": "x"}]}}`,
			`{"nodePackage": {"assets": [{"name": "y"}, {"name": "x", "implementations": [{"type": "container", "assetUri": "A.tar.gz", "descriptorUri": "D.json"}]}], "interfaces": [{"asset": "x"}]}}`,
		},
		"tabs, lines that end as on Windows, spaces before colons": {
			"{\r\n\t\"nodePackage\" : {\r\n\t\t\"interfaces\" : [ { \"asset\":\"x\" } ],\r\n\t\t\"assets\" : [\r\n\t\t\t{ \"name\" : \"y\" }\r\n\t\t]\r\n\t}\r\n}\r\n",
			"{\r\n\t\"nodePackage\" : {\r\n\t\t\"interfaces\" : [ { \"asset\":\"x\" } ],\r\n\t\t\"assets\" : [\r\n\t\t\t{ \"name\" : \"y\" },\r\n\t\t\t{\r\n\t\t\t\t\"name\" : \"x\",\r\n\t\t\t\t\"implementations\" : [\r\n\t\t\t\t\t{\r\n\t\t\t\t\t\t\"type\" : \"container\",\r\n\t\t\t\t\t\t\"assetUri\" : \"A.tar.gz\",\r\n\t\t\t\t\t\t\"descriptorUri\" : \"D.json\"\r\n\t\t\t\t\t}\r\n\t\t\t\t]\r\n\t\t\t}\r\n\t\t]\r\n\t}\r\n}\r\n",
		},
		"no assets yet, brackets on one line, unknown fields and odd numbers": {
			`{
  "other": [1.0e2, "é", null],
  "nodePackage": {
    "interfaces": [{
      "asset": "x",
      "\u0061b": 1
    }]
  }
}
`, `{
  "other": [1.0e2, "é", null],
  "nodePackage": {
    "interfaces": [{
      "asset": "x",
      "\u0061b": 1
    }],
    "assets": [
      {
        "name": "x",
        "implementations": [
          {
            "type": "container",
            "assetUri": "A.tar.gz",
            "descriptorUri": "D.json"
          }
        ]
      }
    ]
  }
}
`},
		"items that begin behind each other": {
			`{
    "nodePackage": {
        "assets": [{
            "name": "y"
        }, {
            "name": "z"
        }],
        "interfaces": [{"asset": "x"}]
    }
}`, `{
    "nodePackage": {
        "assets": [{
            "name": "y"
        }, {
            "name": "z"
        }, {
            "name": "x",
            "implementations": [
                {
                    "type": "container",
                    "assetUri": "A.tar.gz",
                    "descriptorUri": "D.json"
                }
            ]
        }],
        "interfaces": [{"asset": "x"}]
    }
}`},
	} {
		t.Run(name, func(t *testing.T) {
			edited, err := EditPackage("package.json", []byte(tc.before), Asset{"x", "A.tar.gz", "D.json"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.after, string(edited.Text)); diff != "" {
				t.Error(diff)
			}
			if len(edited.Superseded) > 0 || (edited.Interface == "") != strings.Contains(tc.before, `"asset`+`"`) {
				t.Errorf("superseded %q, interface %q", edited.Superseded, edited.Interface)
			}
			again, err := EditPackage("package.json", edited.Text, Asset{"x", "A.tar.gz", "D.json"})
			if err != nil || string(again.Text) != string(edited.Text) || again.Interface != "" || len(again.Superseded) > 0 {
				t.Errorf("a second time: %+v, %v", again, err)
			}
		})
	}
}

// An asset that is there gets two other names and keeps all else, its place too.
func TestEditPackageReplaces(t *testing.T) {
	const format = `{"nodePackage": {"assets": [
	{"description": "mine", "name": "x",
	 "implementations" : [ {"requirements": [{"type": "ota",   "minVersion": "4"}], "descriptorUri":"%D.json", "more": 1,
	   "assetUri":   "%A.tar.gz", "type": "container"}, {"type": "system", "assetUri": "RTSP"} ]},
	{"name": "y", "implementations": []}
], "interfaces": []}}`
	text := func(a, d string) string { return strings.NewReplacer("%A", a, "%D", d).Replace(format) }
	edited, err := EditPackage("package.json", []byte(text("old", "older")), Asset{"x", "new.tar.gz", "newer.json"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text("new", "newer"), string(edited.Text)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"old.tar.gz", "older.json"}, edited.Superseded); diff != "" {
		t.Error(diff)
	}
	if edited.Interface != "" {
		t.Errorf("an asset that was there got the interface %s", edited.Interface)
	}
	want := `{
    "description": "mine",
    "name": "x",
    "implementations": [
        {
            "requirements": [
                {
                    "type": "ota",
                    "minVersion": "4"
                }
            ],
            "descriptorUri": "newer.json",
            "more": 1,
            "assetUri": "new.tar.gz",
            "type": "container"
        },
        {
            "type": "system",
            "assetUri": "RTSP"
        }
    ]
}`
	if diff := cmp.Diff(want, string(edited.Definition)); diff != "" {
		t.Error(diff)
	}
}

// What another asset, or anything else in the package, still names is not
// superseded.
func TestSuperseded(t *testing.T) {
	entry := func(name, a, d string) string {
		return `{"name": "` + name + `", "implementations": [{"type": "container", "assetUri": "` + a + `", "descriptorUri": "` + d + `"}]}`
	}
	for _, tc := range []struct {
		assets string
		want   []string
	}{
		{entry("x", "a", "d"), []string{"a", "d"}},
		{entry("x", "a", "d") + "," + entry("y", "a", "e"), []string{"d"}},
		{entry("x", "a", "d") + "," + entry("y", "b", `\u0064`), []string{"a"}},
		{entry("x", "A", "d"), []string{"d"}},
		{entry("x", "a", "a"), []string{"a"}},
		{`{"name": "x", "implementations": [{"type": "container", "assetUri": 7}]}`, nil},
	} {
		text := `{"nodePackage": {"assets": [` + tc.assets + `]}}`
		edited, err := EditPackage("package.json", []byte(text), Asset{"x", "A", "D"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, edited.Superseded); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if entry := string(edited.Definition); !strings.Contains(entry, `"assetUri": "A"`) || !strings.Contains(entry, `"descriptorUri": "D"`) {
			t.Errorf("%s became %s", text, entry)
		}
	}
}

func TestEditPackageFails(t *testing.T) {
	asset := func(implementations string) string {
		return `{"nodePackage": {"assets": [{"name": "x", "implementations": ` + implementations + `}]}}`
	}
	for text, want := range map[string]string{
		``:                                `p:1:1: unexpected end of JSON input`,
		"{\n  \"nodePackage\": ":          `p:2:17: unexpected end of JSON input`,
		"{\n  \"nodePackage\": {},\n}\n":  `p:3:1: invalid character '}' looking for beginning of object key string`,
		`{} {}`:                           `p:1:4: invalid character '{' after top-level value`,
		"\xef\xbb\xbf{}":                  `p:1:1: invalid character`,
		"{\"a\": \"\xff\"}":               `p:1:8: not UTF-8`,
		`[]`:                              `p:1:1: no object nodePackage`,
		`{"nodePackage": []}`:             `p:1:1: no object nodePackage`,
		`{"nodePackage": {"assets": {}}}`: `p:1:28: assets is not an array`,
		`{"nodePackage": {}, "x": {"a": 1, "b": {"a": 2}, "\u0061": 3}}`: `p:1:50: the key "a" stands twice in one object`,
		"{\"nodePackage\": {\"assets\": [],\n\"assets\": []}}":           `p:2:1: the key "assets" stands twice in one object`,
		`{"nodePackage": {"assets": [{"name": "x"},{"name": "x"}]}}`:     `p:1:43: a second asset x, after p:1:29`,
		asset(`{}`):                  `implementations is not an array`,
		asset(`[{"type": "model"}]`): `asset x is none of type container`,
		asset(`[7]`):                 `asset x is none of type container`,
		asset(`[{"type": "container"},{"type": "container"}]`):         `a second container among the implementations of asset x`,
		`{"nodePackage": {"interfaces": [{"name": "x_interface"}]}}`:   `p:1:33: the interface x_interface belongs to another asset`,
		strings.Repeat("[", 20000) + strings.Repeat("]", 20000):        `exceeded max depth`,
		`{"nodePackage": {"assets": []}}` + strings.Repeat(" ", 4<<20): `more than the 4194304 that are read`,
	} {
		_, err := EditPackage("p", []byte(text), Asset{"x", "A", "D"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %s", text, err, want)
		}
	}
	for _, name := range []string{"a$b", strings.Repeat("a", 119)} {
		_, err := EditPackage("p", []byte(`{"nodePackage": {}}`), Asset{name, "A", "D"})
		if err == nil || !strings.Contains(err.Error(), "which is no name for one") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := EditPackage("p", []byte(`{"nodePackage": {"interfaces": [{"asset": "`+name+`"}]}}`), Asset{name, "A", "D"}); err != nil {
			t.Errorf("%s with an interface: %v", name, err)
		}
	}
}

// What does not keep to the format is kept and warned of.
func TestEditPackageWarns(t *testing.T) {
	edited, err := EditPackage("p", []byte(`{"nodePackage": {"envelopeVersion": "2021-01-01", "owner": "me", "assets": [], "interfaces": []}}`), Asset{"x", "A", "D"})
	if err != nil {
		t.Fatal(err)
	}
	if len(edited.Warnings) != 1 || !strings.HasPrefix(edited.Warnings[0], `p:1:51: nodePackage: no key "owner" belongs here`) {
		t.Errorf("warnings %q", edited.Warnings)
	}
}

func TestAddNode(t *testing.T) {
	pkg := Package{"123", "a-b", "1.0"}
	const nodes = `{"nodeGraph": {"envelopeVersion": "2021-01-01", "packages": [{"name": "123::a-b", "version": "1.0"}], "nodes": [%]}}`
	for _, tc := range []struct{ before, after string }{
		{``, `{"name": "x_node", "interface": "123::a-b.x_interface", "overridable": false, "launch": "onAppStart"}`},
		{`{"name": "y", "interface": "int32"}`, `{"name": "y", "interface": "int32"}, {"name": "x_node", "interface": "123::a-b.x_interface", "overridable": false, "launch": "onAppStart"}`},
		{`{"interface": "123::a-b.x_interface", "name": "x_node"}`, `{"interface": "123::a-b.x_interface", "name": "x_node"}`},
	} {
		g, err := ParseGraph("g", []byte(strings.Replace(nodes, "%", tc.before, 1)))
		if err != nil {
			t.Fatal(err)
		}
		text, warnings, err := g.AddNode("x_node", pkg, "x_interface")
		if diff := cmp.Diff(strings.Replace(nodes, "%", tc.after, 1), string(text)); diff != "" || err != nil || len(warnings) > 0 {
			t.Errorf("%s, %v, %q", diff, err, warnings)
		}
		if !g.Uses(pkg) || g.Uses(Package{"12", "a-b", "1.0"}) {
			t.Error("the graph does not know its packages")
		}
	}
	g, err := ParseGraph("g", []byte(strings.Replace(nodes, "%", `{"name": "x_node", "interface": "string"}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.AddNode("x_node", pkg, "x_interface"); err == nil || !strings.Contains(err.Error(), `the node x_node is one of the interface "string" already`) {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{}`: "no object nodeGraph", `{"nodeGraph": {"nodes": 1}}`: "nodes is not an array", `{"nodeGraph":}`: "g:1:14: invalid character",
	} {
		if _, err := ParseGraph("g", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestParsePackage(t *testing.T) {
	for folder, want := range map[string]Package{
		"123456789012-SAMPLE_CODE-1.0":   {"123456789012", "SAMPLE_CODE", "1.0"},
		"1-people-counter-package-12.34": {"1", "people-counter-package", "12.34"},
		"$a_b---1.0":                     {"$a_b", "-", "1.0"},
	} {
		if got, err := ParsePackage(folder); err != nil || got != want {
			t.Errorf("%s: %+v, %v", folder, got, err)
		}
	}
	for folder, want := range map[string]string{
		"":               "it is not ACCOUNT-NAME-VERSION",
		"code":           "it is not ACCOUNT-NAME-VERSION",
		"1-1.0":          "it is not ACCOUNT-NAME-VERSION",
		"-code-1.0":      `the account, up to the first dash, is ""`,
		"1.2-code-1.0":   `the account, up to the first dash, is "1.2"`,
		"1--1.0":         `the package's name, between the first dash and the last, is ""`,
		"1-co de-1.0":    `the package's name, between the first dash and the last, is "co de"`,
		"1-code-1":       `the version, behind the last dash, is "1"`,
		"1-code-1.0.0":   `the version, behind the last dash, is "1.0.0"`,
		"1-code-1.0\x1b": `the version, behind the last dash, is "1.0\x1b"`,
	} {
		if _, err := ParsePackage(folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", folder, err, want)
		}
	}
}

func TestCheckAssetName(t *testing.T) {
	for _, name := range []string{"a", "$A-Z_a-z0-9", strings.Repeat("x", 255)} {
		if err := CheckAssetName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "a b", "a.b", "a/b", "ä", "a\n", strings.Repeat("x", 256)} {
		if err := CheckAssetName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
