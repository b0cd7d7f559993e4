// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package panorama_test

import (
	"fmt"

	"github.com/seed-81b0d42e/flatten/pkg/panorama"
)

func ExampleEditPackage() {
	before := `{
  "nodePackage": {
    "envelopeVersion": "2021-01-01",
    "interfaces": [{"name": "i", "category": "business_logic", "asset": "code"}],
    "assets": [
      {"name": "code", "implementations": [{"type": "container", "assetUri": "old.tar.gz", "descriptorUri": "d.json"}]}
    ]
  }
}`
	edited, err := panorama.EditPackage("package.json", []byte(before),
		panorama.Asset{Name: "code", AssetURI: "new.tar.gz", DescriptorURI: "d.json"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n%q", edited.Text, edited.Superseded)
	// Output:
	// {
	//   "nodePackage": {
	//     "envelopeVersion": "2021-01-01",
	//     "interfaces": [{"name": "i", "category": "business_logic", "asset": "code"}],
	//     "assets": [
	//       {"name": "code", "implementations": [{"type": "container", "assetUri": "new.tar.gz", "descriptorUri": "d.json"}]}
	//     ]
	//   }
	// }
	// ["old.tar.gz"]
}
