// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama

import (
	"math"
	"regexp"
)

// The format of the three kinds of files, envelope version 2021-01-01.

var (
	anyText  = text{}
	nonEmpty = text{least: 1}
	envelope = oneOf{"2021-01-01"}
	short    = text{most: 255}
	label    = text{1, MaxLabel, assetName} // of a node
	version  = text{most: 255, like: versionNumber}
	whole    = number{integer: true}
	port     = number{integer: true, limited: true, least: 1, most: 65535}
)

// descriptorSchema is that of a descriptor.json.
var descriptorSchema = fields{of: map[string]schema{
	"runtimeDescriptor": fields{
		of: map[string]schema{
			"envelopeVersion": envelope,
			"entry": fields{
				of: map[string]schema{
					"path": anyText, "name": nonEmpty, "arguments": array{of: anyText},
					"environment": array{of: fields{
						of:       map[string]schema{"name": nonEmpty, "value": anyText},
						required: []string{"name", "value"},
					}},
				},
				needs: map[string]string{"path": "name", "arguments": "name", "environment": "name"},
			},
			"events": array{of: union{key: "type", of: map[string]schema{
				"onExit": event(false), "onPartialInput": event(true), "onCompleteInput": event(true),
			}}},
		},
		required: []string{"envelopeVersion"},
	},
	"mlModelDescriptor": fields{
		of: map[string]schema{
			"envelopeVersion":  envelope,
			"framework":        oneOf{"TENSORFLOW", "PYTORCH", "MXNET"},
			"frameworkVersion": text{3, 10, regexp.MustCompile(`^[0-9]+\.[A-Za-z0-9.]+$`)},
			"precisionMode":    oneOf{"FP32", "FP16"},
			"inputs": array{of: fields{
				of:       map[string]schema{"name": anyText, "type": tensorType, "shape": array{of: whole}},
				required: []string{"name", "shape"},
			}},
		},
		required: []string{"envelopeVersion", "framework", "inputs"},
	},
}}

var tensorType = oneOf{
	"int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "float32", "float64",
}

// event is the handler of an event, of those that watch inputs or of others.
func event(inputs bool) schema {
	s := fields{
		of:       map[string]schema{"description": anyText, "type": anyText, "handler": nonEmpty},
		required: []string{"type", "handler"},
	}
	if inputs {
		s.of["inputs"] = array{of: nonEmpty}
		s.required = append(s.required, "inputs")
	}
	return s
}

// packageSchema is that of a package.json.
var packageSchema = fields{of: map[string]schema{"nodePackage": fields{
	of: map[string]schema{
		"envelopeVersion": envelope,
		"name":            text{1, MaxLabel, interfaceName},
		"version":         version,
		"description":     short,
		"assets":          array{of: assetSchema},
		"interfaces":      array{of: interfaceSchema, least: 1},
	},
	required: []string{"envelopeVersion", "interfaces"},
}}}

var assetSchema = fields{
	of: map[string]schema{
		"description": anyText,
		"name":        text{1, MaxName, assetName},
		"implementations": array{of: fields{
			of: map[string]schema{
				"description": short, "type": oneOf{"system", "container", "model"},
				"assetUri": text{least: 1, most: 255}, "descriptorUri": anyText,
				"requirements": array{of: requirementSchema},
			},
			required: []string{"type", "assetUri"},
		}},
	},
	required: []string{"name"},
}

var requirementSchema = union{key: "type", of: map[string]schema{
	"ota": fields{
		of:    map[string]schema{"type": anyText, "minVersion": anyText, "maxVersion": anyText},
		oneOf: []string{"minVersion", "maxVersion"},
	},
	"device": fields{
		of:       map[string]schema{"type": anyText, "name": oneOf{"panorama_devkit"}},
		required: []string{"name"},
	},
	"hardware_access": fields{
		of: map[string]schema{"type": anyText, "inferenceAccelerators": array{of: fields{
			of: map[string]schema{
				"deviceType": oneOf{"nvhost_gpu"},
				"sharedResourcePolicy": fields{
					of: map[string]schema{"policy": oneOf{"allow_all"}}, open: true,
				},
			},
			required: []string{"deviceType", "sharedResourcePolicy"},
		}}},
		required: []string{"inferenceAccelerators"},
	},
}}

var interfaceSchema = fields{
	of: map[string]schema{
		"description": anyText,
		"name":        text{1, MaxLabel, interfaceName},
		"asset":       anyText,
		"category":    oneOf{"media_source", "media_sink", "business_logic", "ml_model"},
		"inputs":      array{of: ports(inputPort)},
		"outputs":     array{of: ports(outputPort)},
		"network": fields{of: map[string]schema{"inboundPorts": array{most: 10, of: fields{
			of:       map[string]schema{"description": short, "port": port},
			required: []string{"port"},
		}}}},
	},
	required: []string{"name", "category"},
}

// The types of ports and of nodes that hold a value, and what the values are.
var valueTypes = map[string]schema{
	"boolean": boolean{}, "int32": whole, "float32": number{}, "string": anyText,
}

// ports is a port of any type.
func ports(of func(kind string) schema) schema {
	u := union{key: "type", of: map[string]schema{"media": of("media")}}
	for kind := range valueTypes {
		u.of[kind] = of(kind)
	}
	return u
}

func outputPort(string) schema {
	return fields{
		of:       map[string]schema{"description": anyText, "name": text{1, 50, portName}, "type": anyText},
		required: []string{"name"},
	}
}

var portName = regexp.MustCompile(`^[$A-Z_a-z0-9]+$`)

func inputPort(kind string) schema {
	s := fields{
		of: map[string]schema{
			"description": short, "name": text{1, 50, portName}, "type": anyText,
			"maxConnections": number{integer: true, limited: true, most: math.Inf(1)},
		},
		required: []string{"name"},
		open:     kind == "string",
	}
	if kind == "media" {
		return s
	}
	s.of["default"] = valueTypes[kind]
	s.of["reference"], s.of["referenceSource"] = boolean{}, anyText
	if kind != "boolean" {
		s.of["constraintRegex"] = anyText
	}
	return s
}

// graphSchema is that of a graph.json.
var graphSchema = fields{of: map[string]schema{"nodeGraph": fields{
	of: map[string]schema{
		"envelopeVersion": envelope,
		"description":     short,
		"packages": array{least: 1, of: fields{
			of: map[string]schema{
				"name":    text{most: 255, like: regexp.MustCompile(`^[$A-Z_a-z0-9]+::[a-zA-Z_0-9\-]+$`)},
				"version": version, "patchVersion": anyText, "generatedPatchVersion": anyText, "uri": anyText,
			},
			required: []string{"name", "version"},
		}},
		"nodes": array{of: nodeSchema(), least: 1},
		"edges": array{of: fields{
			of:       map[string]schema{"producer": text{like: edgeEnd}, "consumer": text{like: edgeEnd}},
			required: []string{"producer", "consumer"},
		}},
		"networkRoutingRules": array{of: fields{
			of:       map[string]schema{"node": label, "containerPort": port, "hostPort": whole, "decorator": decorator},
			required: []string{"node", "containerPort"},
		}},
	},
	required: []string{"envelopeVersion", "packages", "nodes"},
}}}

var edgeEnd = regexp.MustCompile(`^[a-zA-Z0-9_\-]+\.?[a-z_A-Z0-9\-]+$`)

var decorator = func() schema {
	words := text{least: 1, most: 255}
	return fields{of: map[string]schema{
		"title": words, "description": words, "constraintText": words, "constraintRegex": words,
	}}
}()

// nodeSchema is a node: one that holds a value, or one of an interface.
func nodeSchema() schema {
	node := func(of schema, key string, value schema) schema {
		return fields{
			of: map[string]schema{
				"name": label, "interface": of, key: value,
				"overridable": boolean{}, "overrideMandatory": boolean{}, "decorator": decorator,
			},
			required: []string{"name", "interface"},
		}
	}
	full := text{like: regexp.MustCompile(`^[$A-Z_a-z0-9\-]+::[A-Z_a-z0-9\-]+\.[A-Z_a-z0-9\-]+$`)}
	u := union{
		key: "interface", of: map[string]schema{},
		other: node(full, "launch", oneOf{"onDemand", "onAppStart", "onSignal"}),
	}
	for kind, value := range valueTypes {
		u.of[kind] = node(anyText, "value", value)
	}
	return u
}
