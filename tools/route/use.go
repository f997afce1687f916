package route

import (
	"cmp"
	"slices"
	syntax "text/template/parse"
)

// Use is a label or an annotation of which a text shows the value, whether it is there or not.
type Use struct {
	Of   string // GroupLabels, CommonLabels, CommonAnnotations, Labels or Annotations
	Name string
}

// Uses returns what a text shows, by itself and by the templates of files that it takes, in order and without
// repetitions. What a condition tests is left out: its author knows that it can be missing.
func (r *Renderer) Uses(text string) []Use {
	w := usage{trees: map[string]*syntax.Tree{}, seen: map[string]bool{}, tested: map[Use]bool{}}
	for _, content := range append(slices.Clone(r.files), text) {
		tree := syntax.New(rootName)
		tree.Mode = syntax.SkipFuncCheck
		if _, err := tree.Parse(content, "", "", w.trees); err != nil {
			return nil // Render reports it
		}
		w.trees[rootName] = tree
	}
	w.follow(rootName)
	w.uses = slices.DeleteFunc(w.uses, func(u Use) bool { return w.tested[u] })
	slices.SortFunc(w.uses, func(a, b Use) int { return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Name, b.Name)) })
	return slices.Compact(w.uses)
}

const rootName = "\x00"

var (
	useOf = []string{"GroupLabels", "CommonLabels", "CommonAnnotations", "Labels", "Annotations"}
	// methods of what holds labels
	methods = []string{"SortedPairs", "Names", "Values", "Remove", "String"}
)

// usage collects the uses in templates.
type usage struct {
	trees  map[string]*syntax.Tree
	seen   map[string]bool
	uses   []Use
	tested map[Use]bool
}

func (w *usage) follow(name string) {
	if tree := w.trees[name]; tree != nil && tree.Root != nil && !w.seen[name] {
		w.seen[name] = true
		w.node(tree.Root)
	}
}

func (w *usage) node(node syntax.Node) {
	switch n := node.(type) {
	case *syntax.ListNode:
		if n == nil {
			return
		}
		for _, below := range n.Nodes {
			w.node(below)
		}
	case *syntax.ActionNode:
		w.node(n.Pipe)
	case *syntax.IfNode:
		w.test(n.Pipe)
		w.node(n.List)
		w.node(n.ElseList)
	case *syntax.WithNode:
		w.test(n.Pipe)
		w.node(n.List)
		w.node(n.ElseList)
	case *syntax.RangeNode:
		w.node(n.Pipe)
		w.node(n.List)
		w.node(n.ElseList)
	case *syntax.TemplateNode:
		w.follow(n.Name)
	case *syntax.PipeNode:
		if n == nil {
			return
		}
		for _, cmd := range n.Cmds {
			w.node(cmd)
		}
	case *syntax.CommandNode:
		w.command(n)
	case *syntax.FieldNode:
		w.use(n.Ident)
	case *syntax.VariableNode:
		w.use(n.Ident[1:])
	}
}

func (w *usage) command(cmd *syntax.CommandNode) {
	if function, ok := cmd.Args[0].(*syntax.IdentifierNode); ok {
		if slices.Contains([]string{"or", "and", "not", "eq", "ne", "len"}, function.Ident) {
			return // which chooses
		}
		if len(cmd.Args) == 3 && function.Ident == "index" {
			if key, ok := cmd.Args[2].(*syntax.StringNode); ok {
				switch of := cmd.Args[1].(type) {
				case *syntax.FieldNode:
					w.use(append(slices.Clone(of.Ident), key.Text))
				case *syntax.VariableNode:
					w.use(append(slices.Clone(of.Ident[1:]), key.Text))
				}
				return
			}
		}
	}
	for _, arg := range cmd.Args {
		w.node(arg)
	}
}

func (w *usage) use(path []string) {
	for i := range len(path) - 1 {
		if slices.Contains(useOf, path[i]) && !slices.Contains(methods, path[i+1]) {
			w.uses = append(w.uses, Use{path[i], path[i+1]})
			return
		}
	}
}

// test notes what a condition looks at.
func (w *usage) test(pipe *syntax.PipeNode) {
	before := w.uses
	w.uses = nil
	for _, cmd := range pipe.Cmds {
		for _, arg := range cmd.Args {
			w.node(arg)
		}
		w.command(cmd)
	}
	for _, u := range w.uses {
		w.tested[u] = true
	}
	w.uses = before
}
