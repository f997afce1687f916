package promql

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// The features by which Prometheus and promtool understand more of PromQL, as --enable-feature names them.
const (
	experimentalFunctions = "promql-experimental-functions"
	binopFillModifiers    = "promql-binop-fill-modifiers"
	unquotedUTF8Names     = "promql-unquoted-utf8-names"
)

// Features are all of them.
var Features = []string{experimentalFunctions, binopFillModifiers, unquotedUTF8Names}

// Options are a parser's that understands what any of them allows: which of them a rule needs is a finding (expr/feature),
// and no reason to understand nothing of it.
var Options = options(Features)

// ParserWith returns a parser that understands what a Prometheus with these features does. Others are passed over.
func ParserWith(features []string) parser.Parser { return parser.NewParser(options(features)) }

func options(features []string) parser.Options {
	return parser.Options{
		EnableExperimentalFunctions: slices.Contains(features, experimentalFunctions),
		EnableBinopFillModifiers:    slices.Contains(features, binopFillModifiers),
		EnableUnquotedUTF8Names:     slices.Contains(features, unquotedUTF8Names),
	}
}

// Needed returns the features without which Prometheus refuses an expression that it takes with all of them.
func Needed(expr string) []string {
	return NeededFeatures(func(p parser.Parser) error {
		_, err := p.ParseExpr(expr)
		return err
	})
}

// NeededFeatures returns the features without which a text does not parse, where it does with all of them. The function
// parses it with the parser that it is given.
func NeededFeatures(parse func(parser.Parser) error) (needed []string) {
	if parse(ParserWith(nil)) == nil || parse(ParserWith(Features)) != nil {
		return nil
	}
	for _, feature := range Features {
		others := slices.DeleteFunc(slices.Clone(Features), func(other string) bool { return other == feature })
		if parse(ParserWith(others)) != nil {
			needed = append(needed, feature)
		}
	}
	return needed
}
