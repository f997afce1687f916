package engine

import (
	"fmt"
	"os"
	"unicode"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// RuleFile is a rule file as deployed.
type RuleFile struct {
	Path string // where it is read
	// Name is the path under which the server loads the file, if it differs: /api/v1/rules shows it. The offset of a
	// group's evaluations within its interval is derived from this name and the group's.
	Name string
}

func (f RuleFile) name() string {
	if f.Name != "" {
		return f.Name
	}
	return f.Path
}

// ruleFiles loads rule files by the server's names for them.
type ruleFiles struct {
	parser parser.Parser
	paths  map[string]string // by name
}

// Load implements rules.GroupLoader. It leaves the annotations out: they are not stored, and expanding them at each
// evaluation takes most of the time of an active alert.
func (f ruleFiles) Load(name string, ignoreUnknown bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	path := f.paths[name]
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, []error{err}
	}
	groups, errs := rulefmt.Parse(content, ignoreUnknown, scheme, f.parser, promslog.NewNopLogger())
	for i, err := range errs {
		// Most errors begin with line and column.
		sep := ": "
		if text := err.Error(); text != "" && unicode.IsDigit(rune(text[0])) {
			sep = ":"
		}
		errs[i] = fmt.Errorf("%s%s%w", path, sep, err)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	for _, g := range groups.Groups {
		for i := range g.Rules {
			g.Rules[i].Annotations = nil
		}
	}
	return groups, nil
}

// Parse implements rules.GroupLoader.
func (f ruleFiles) Parse(expr string) (parser.Expr, error) { return f.parser.ParseExpr(expr) }
