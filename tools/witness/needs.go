package witness

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// needs knows which rule files record what the rules of others read.
type needs struct {
	recordings map[string][]rule.Recording // by name
	alerts     map[string][]rule.Alert     // by name
}

func newNeeds(set rule.Set) needs {
	n := needs{map[string][]rule.Recording{}, map[string][]rule.Alert{}}
	for _, r := range set.Recordings {
		n.recordings[r.Name] = append(n.recordings[r.Name], r)
	}
	for _, a := range set.Alerts {
		n.alerts[a.Name] = append(n.alerts[a.Name], a)
	}
	return n
}

// files returns a rule file and those that record what these alerts of it read, directly or not, in order. Where several
// files record a metric, those count that are nearest in the tree of folders: others are for another Prometheus.
func (n needs) files(own string, alerts []rule.Alert) []string {
	files, seen := []string{own}, map[string]bool{}
	var read func(file, text string)
	read = func(file, text string) {
		expr, err := promql.ParseExpr(text)
		if err != nil || seen[file+"\n"+text] {
			return
		}
		seen[file+"\n"+text] = true
		for s := range selectorsIn(expr) {
			var writers []string
			for _, r := range n.recordings[promql.NameOf(s)] {
				writers = append(writers, r.File)
			}
			raised := n.alerts[alertOf(s)]
			for _, a := range raised {
				writers = append(writers, a.File)
			}
			writers = nearestTo(file, writers)
			for _, w := range writers {
				if !slices.Contains(files, w) {
					files = append(files, w)
				}
			}
			for _, r := range n.recordings[promql.NameOf(s)] {
				if slices.Contains(writers, r.File) {
					read(r.File, r.Expr)
				}
			}
			for _, a := range raised {
				if slices.Contains(writers, a.File) {
					read(a.File, a.Expr)
				}
			}
		}
	}
	for _, a := range alerts {
		read(own, a.Expr)
	}
	slices.Sort(files[1:])
	return files
}

// alertOf returns the alert whose ALERTS a selector asks for, if it names one.
func alertOf(s *parser.VectorSelector) string {
	if !strings.HasPrefix(promql.NameOf(s), "ALERTS") {
		return ""
	}
	for _, m := range s.LabelMatchers {
		if m.Name == model.AlertNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// nearestTo returns those of files that share the most folders with a file, or the file itself if it is among them.
func nearestTo(file string, files []string) []string {
	most, nearest := -1, []string(nil)
	for _, f := range files {
		common := shared(file, f)
		if common > most {
			most, nearest = common, nil
		}
		if common == most {
			nearest = append(nearest, f)
		}
	}
	return nearest
}

// shared counts the leading elements that two paths have in common.
func shared(a, b string) int {
	as, bs := strings.Split(filepath.ToSlash(a), "/"), strings.Split(filepath.ToSlash(b), "/")
	n := 0
	for n < min(len(as), len(bs)) && as[n] == bs[n] {
		n++
	}
	return n
}
