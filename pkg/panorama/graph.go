// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"github.com/seed-81b0d42e/flatten/pkg/image"
)

// Graph is a graph.json.
type Graph struct{ *document }

// ParseGraph reads a graph.json. Errors name the file as name says.
func ParseGraph(name string, text []byte) (Graph, error) {
	d, err := parse(name, text)
	if err != nil {
		return Graph{}, err
	}
	graph := d.root.get("nodeGraph")
	if !graph.is(kindObject) {
		return Graph{}, d.errorf(d.root.start, "no object nodeGraph")
	}
	if v := graph.get("nodes"); v != nil && v.kind != kindArray {
		return Graph{}, d.errorf(v.start, "nodes is not an array")
	}
	return Graph{d}, nil
}

// Uses reports whether the graph lists a package.
func (g Graph) Uses(p Package) bool {
	packages := g.root.get("nodeGraph").get("packages")
	if packages == nil {
		return false
	}
	for _, v := range packages.items {
		if g.str(v.get("name")) == p.ID() {
			return true
		}
	}
	return false
}

// AddNode adds the node of an interface of a package to the graph and returns
// the file's new bytes, the same when the node is there already, and warnings
// that say where they do not keep to the format.
func (g Graph) AddNode(node string, p Package, interfaceName string) (text []byte, warnings []string, err error) {
	full := p.ID() + "." + interfaceName
	ed := editor{document: g.document}
	body := ed.root.get("nodeGraph")
	nodes := body.get("nodes")
	item := object{{"name", node}, {"interface", full}, {"overridable", false}, {"launch", "onAppStart"}}
	if nodes == nil {
		ed.do(ed.appendMember(body, "nodes", list{item}))
		return ed.text, problems(ed.document, graphSchema), nil
	}
	for _, v := range nodes.items {
		if ed.str(v.get("name")) != node {
			continue
		}
		if other := ed.str(v.get("interface")); other != full {
			return nil, nil, image.WithHint(
				ed.errorf(v.start, "the node %s is one of the interface %s already", node, image.Quote(other)),
				"choose another --container-asset-name")
		}
		return g.text, nil, nil
	}
	ed.do(ed.appendItem(nodes, item))
	return ed.text, problems(ed.document, graphSchema), nil
}
