package rule

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// isObject reports whether a document is an object of Kubernetes, of whatever kind.
func isObject(root *yaml.Node) bool {
	version := value(root, "apiVersion")
	return version != nil && version.Tag == "!!str" && kindOf(root) != ""
}

func kindOf(object *yaml.Node) string { return scalar(value(object, "kind")) }

// objects reads the PrometheusRule manifests among the documents of a file, which are objects of Kubernetes.
func (s *source) objects(roots []*yaml.Node) (found Set, problems []problem) {
	manifests := 0
	var read func(objects []*yaml.Node, depth int)
	read = func(objects []*yaml.Node, depth int) {
		for _, object := range objects {
			switch kind := kindOf(object); {
			case kind == "PrometheusRule":
				manifests++
				in, wrong := s.manifest(object)
				found.add(in)
				problems = append(problems, wrong...)
			case isList(kind) && depth == 0: // Kubernetes knows no list of lists
				read(items(value(object, "items")), depth+1)
			case value(object, "groups") != nil:
				problems = append(problems, s.problem(object.Line, "rule groups among manifests, which neither Prometheus nor its operator reads",
					"make it a manifest of kind PrometheusRule, or move it to a file of its own"))
			}
		}
	}
	read(roots, 0)
	if manifests == 0 && len(problems) == 0 {
		problems = append(problems, s.problem(roots[0].Line, "a manifest of kind "+kindOf(roots[0]), "name a rule file, or a manifest of kind PrometheusRule"))
	}
	if len(problems) > 0 {
		return Set{}, problems
	}
	return found, nil
}

func isList(kind string) bool { return kind == "List" || kind == "PrometheusRuleList" }

// holdsRules reports whether an object of Kubernetes is a PrometheusRule, or a list with one.
func holdsRules(object *yaml.Node) bool {
	kind := kindOf(object)
	return kind == "PrometheusRule" || isList(kind) && slices.ContainsFunc(items(value(object, "items")), func(item *yaml.Node) bool {
		return kindOf(item) == "PrometheusRule"
	})
}

// manifest reads the rule groups of a PrometheusRule, of which Prometheus gets to see spec.groups and nothing else.
func (s *source) manifest(object *yaml.Node) (Set, []problem) {
	if problems := s.repeated(object); len(problems) > 0 {
		return Set{}, problems
	}
	spec := value(object, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return Set{}, []problem{s.problem(object.Line, "a PrometheusRule without a spec", "write spec: with groups: in it")}
	}
	groups := value(spec, "groups")
	if p, ok := s.tooMuch(groups); ok {
		return Set{}, []problem{p}
	}
	if problems := s.refused(object); len(problems) > 0 {
		return Set{}, problems
	}
	if len(items(groups)) == 0 && (groups == nil || groups.Tag == "!!null" || groups.Kind == yaml.SequenceNode) {
		return Set{}, nil // as a chart leaves it whose rules are switched off
	}
	return s.extracted(groups, func(field string) bool { return field == "partial_response_strategy" }) // which the operator drops
}

// extracted reads rule groups without the fields that Prometheus does not get to see.
func (s *source) extracted(groups *yaml.Node, isDropped func(field string) bool) (Set, []problem) {
	content, lines, err := extract(groups, isDropped)
	if err != nil {
		return Set{}, []problem{s.problem(groups.Line, "not valid YAML: "+err.Error(), "fix it so that kubectl applies it")}
	}
	return s.groups(content, groups, func(line int) int {
		if original, ok := lines[line]; ok {
			return original
		}
		return groups.Line
	})
}

// repeated finds the keys that a mapping has twice, which kubectl refuses.
func (s *source) repeated(root *yaml.Node) (problems []problem) {
	seen := map[*yaml.Node]bool{}
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if seen[node] {
			return
		}
		seen[node] = true
		if node.Kind == yaml.MappingNode {
			first := map[string]int{}
			for i := 0; i < len(node.Content); i += 2 {
				key := node.Content[i]
				if key.Kind != yaml.ScalarNode {
					continue
				}
				if line, ok := first[key.Value]; ok {
					problems = append(problems, s.problem(key.Line, fmt.Sprintf("mapping key %q already defined at line %d", key.Value, line), "write each key once"))
				} else {
					first[key.Value] = key.Line
				}
			}
		}
		for _, child := range node.Content {
			visit(child)
		}
	}
	visit(root)
	return problems
}

// extract writes rule groups as a rule file of their own, and returns for each of its lines the one in the source.
func extract(groups *yaml.Node, isDropped func(field string) bool) (content []byte, lines map[int]int, err error) {
	copied := unalias(groups)
	for _, group := range copied.Content {
		hasOffset := value(group, "query_offset") != nil
		for i := 0; group.Kind == yaml.MappingNode && i < len(group.Content); {
			switch key := group.Content[i]; {
			case key.Value == delayField && isDropped(delayField) && !hasOffset:
				key.Value = "query_offset" // its name in Prometheus
				i += 2
			case isDropped(key.Value):
				group.Content = slices.Delete(group.Content, i, i+2)
			default:
				i += 2
			}
		}
	}
	file := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "groups"}, copied}}
	if content, err = yaml.Marshal(file); err != nil {
		return nil, nil, err
	}
	var written yaml.Node
	if err := yaml.Unmarshal(content, &written); err != nil {
		return nil, nil, err
	}
	lines = map[int]int{1: groups.Line}
	var pair func(written, copied *yaml.Node)
	pair = func(written, copied *yaml.Node) {
		if _, ok := lines[written.Line]; !ok {
			lines[written.Line] = copied.Line
		}
		for i := 0; i < min(len(written.Content), len(copied.Content)); i++ {
			pair(written.Content[i], copied.Content[i])
		}
	}
	pair(written.Content[0].Content[1], copied)
	return content, lines, nil
}

// unalias copies a tree with its aliases replaced by what they stand for. The copies keep their lines. How far the
// tree grows is for the caller to have asked (tooMuch).
func unalias(node *yaml.Node) *yaml.Node {
	node = resolve(node)
	copied := &yaml.Node{Kind: node.Kind, Value: node.Value, Line: node.Line}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str" {
		copied.Style = yaml.DoubleQuotedStyle // on one line, whatever is in it
	}
	for _, child := range node.Content {
		copied.Content = append(copied.Content, unalias(child))
	}
	return copied
}

// tooMuch finds an expression that no person could have meant, and rules that grow without limit by their aliases.
func (s *source) tooMuch(groups *yaml.Node) (problem, bool) {
	if groups == nil {
		return problem{}, false
	}
	sizes := map[*yaml.Node]int{}
	var size func(node *yaml.Node) int
	size = func(node *yaml.Node) int {
		node = resolve(node)
		if n, ok := sizes[node]; ok {
			return n
		}
		sizes[node] = maxExpanded + 1 // found again below itself: it never ends
		n := len(node.Value) + nodeSize
		for _, child := range node.Content {
			n = min(n+size(child), maxExpanded+1)
		}
		sizes[node] = n
		return n
	}
	if size(groups) > maxExpanded {
		return s.problem(groups.Line, "the rules grow beyond all measure by their aliases", fmt.Sprintf("keep them within %d bytes, aliases written out", maxExpanded)), true
	}
	for _, group := range items(groups) {
		for _, r := range items(value(group, "rules")) {
			if expr := value(r, "expr"); expr != nil && len(expr.Value) > maxExpr {
				p := s.problem(expr.Line, "an expression is too long", fmt.Sprintf("keep it within %d bytes, and record its parts", maxExpr))
				p.text = fmt.Sprintf("%d bytes", len(expr.Value))
				return p, true
			}
		}
	}
	return problem{}, false
}
