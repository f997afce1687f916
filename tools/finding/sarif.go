package finding

import (
	"io"
	"path"
)

// The parts of SARIF 2.1.0 that a report needs: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string             `json:"id"`
		ShortDescription     sarifText          `json:"shortDescription"`
		Help                 sarifText          `json:"help"`
		DefaultConfiguration sarifConfiguration `json:"defaultConfiguration"`
	}
	sarifConfiguration struct {
		Level Severity `json:"level"` // SARIF uses the same words
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex *int            `json:"ruleIndex,omitempty"`
		Level     Severity        `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysicalLocation `json:"physicalLocation"`
	}
	sarifPhysicalLocation struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int        `json:"startLine"`
		StartColumn int        `json:"startColumn,omitempty"`
		EndColumn   int        `json:"endColumn,omitempty"`
		Snippet     *sarifText `json:"snippet,omitempty"`
	}
)

func (r Report) writeSARIF(w io.Writer) error {
	driver := sarifDriver{Name: "firedrill", InformationURI: "https://github.com/stemedb/firedrill", Rules: []sarifRule{}}
	index := map[string]int{}
	for i, check := range r.Checks {
		index[check.Name] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID:                   check.Name,
			ShortDescription:     sarifText{check.Help},
			Help:                 sarifText{check.Help + " To suppress it, say why in a comment: firedrill: ignore " + check.Name + " -- reason"},
			DefaultConfiguration: sarifConfiguration{check.Severity},
		})
	}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	for _, f := range r.Findings {
		result := sarifResult{RuleID: f.Check, Level: f.Severity, Message: sarifText{f.Message}}
		if i, ok := index[f.Check]; ok {
			result.RuleIndex = &i
		}
		file := inRepository(f.File)
		artifact := sarifArtifact{URI: uri(file)}
		if !path.IsAbs(file) {
			artifact.URIBaseID = "%SRCROOT%" // the repository's root on GitHub
		}
		region := sarifRegion{StartLine: max(f.Line, 1), StartColumn: f.Column, EndColumn: f.EndColumn}
		if f.Source != "" {
			region.Snippet = &sarifText{f.Source}
		}
		result.Locations = []sarifLocation{{sarifPhysicalLocation{artifact, region}}}
		run.Results = append(run.Results, result)
	}
	return encode(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}
