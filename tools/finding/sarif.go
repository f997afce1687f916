package finding

import (
	"io"
	"path"
)

// object is a JSON object.
type object = map[string]any

// writeSARIF writes what a report needs of SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
func (r Report) writeSARIF(w io.Writer) error {
	rules, index := []object{}, map[string]int{}
	for i, check := range r.Checks {
		index[check.Name] = i
		rules = append(rules, object{
			"id":                   check.Name,
			"shortDescription":     object{"text": check.Help},
			"help":                 object{"text": check.Help + " To suppress it, say why in a comment: firedrill: ignore " + check.Name + " -- reason"},
			"defaultConfiguration": object{"level": check.Severity}, // SARIF uses the same words
		})
	}
	results := []object{}
	for _, f := range r.Findings {
		file := inRepository(f.File)
		artifact := object{"uri": uri(file)}
		if !path.IsAbs(file) {
			artifact["uriBaseId"] = "%SRCROOT%" // the repository's root on GitHub
		}
		region := object{"startLine": max(f.Line, 1)}
		if f.Column > 0 {
			region["startColumn"] = f.Column
		}
		if f.EndColumn > 0 {
			region["endColumn"] = f.EndColumn
		}
		if f.Source != "" {
			region["snippet"] = object{"text": f.Source}
		}
		result := object{
			"ruleId": f.Check, "level": f.Severity, "message": object{"text": f.Message},
			"locations": []object{{"physicalLocation": object{"artifactLocation": artifact, "region": region}}},
		}
		if i, ok := index[f.Check]; ok {
			result["ruleIndex"] = i
		}
		results = append(results, result)
	}
	driver := object{"name": "firedrill", "informationUri": "https://github.com/stemedb/firedrill", "rules": rules}
	return encode(w, object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{"tool": object{"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}},
	})
}
