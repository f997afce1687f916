package ruletest

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/evaluate"
	static "github.com/stemedb/firedrill/tools/promql"
	ruleread "github.com/stemedb/firedrill/tools/rule"
)

// maxFileSize limits the size of a file in bytes.
const maxFileSize = 16 << 20

var (
	// promqlParser parses the names and labels of series.
	promqlParser = parser.NewParser(parser.Options{})
	quiet        = slog.New(slog.DiscardHandler)
)

// ruleFile is a rule file, parsed.
type ruleFile struct {
	path   string
	groups []*evaluate.Group
}

var foreignField = regexp.MustCompile(`field (\S+) not found in type rulefmt\.`)

// readRuleFile reads and parses a rule file as promtool does.
func (s *Suite) readRuleFile(path string) (*ruleFile, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, static.ParserWith(s.options.Features), quiet)
	if len(errs) > 0 {
		for i, err := range errs {
			errs[i] = decodeError(path, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		needed := static.NeededFeatures(func(p parser.Parser) error {
			_, errs := rulefmt.Parse(content, false, model.UTF8Validation, p, quiet)
			return errors.Join(errs...)
		})
		if len(needed) > 0 {
			errs = append(errs, fmt.Errorf("%s: give --enable-feature=%s, if the Prometheus that loads this file is started with it", path, strings.Join(needed, ",")))
		}
		for _, m := range foreignField.FindAllStringSubmatch(errors.Join(errs...).Error(), -1) {
			if program := ruleread.ProgramOf(m[1]); program != "" {
				errs = append(errs, fmt.Errorf("%s: %s is for %s: promtool reads no rule file that has it: test a copy without it", path, m[1], program))
			}
		}
		return nil, errors.Join(errs...)
	}
	return s.compileFile(path, groups)
}

// compileFile makes a rule file of groups.
func (s *Suite) compileFile(path string, groups *rulefmt.RuleGroups) (*ruleFile, error) {
	compiled, err := s.compiler.Groups(path, groups.Groups)
	return &ruleFile{path, compiled}, err
}

// readFile returns a file's content, up to maxFileSize.
func readFile(path string) ([]byte, error) {
	// Checked before opening: opening a named pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		if pathErr, ok := err.(*fs.PathError); ok {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("%s: cannot be read: %w", path, err)
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory: name a file", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a regular file", path)
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that are read: split it", path, info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}
