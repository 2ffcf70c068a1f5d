package template

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"text/template/parse"
)

// parsed is one file, its trees rewritten so that nothing missing is printed.
type parsed struct {
	src      source
	trees    map[string]*parse.Tree // the file's own under the file's name
	refs     map[string][]ref       // what each tree refers to
	sites    map[string]site
	problems []Problem
	lines    []int // where each line begins
}

// ref is something that a template names and that must be there.
type ref struct {
	kind   refKind
	name   string
	offset int
}

type refKind int

const (
	toTemplate refKind = iota
	toQuery
	toImage
)

// site is a command of a template, for errors: found again by where it stands.
type site struct {
	text   string   // as it is written
	args   []string // what the function is given, the piped value last
	within string   // the {{range}} or {{with}} around it
}

// lenient functions are asked whether something is there.
var lenient = map[string]bool{"and": true, "or": true, "not": true, "default": true, "eq": true, "ne": true}

// strictBuiltin are functions of text/template that would make a gap, or a strange error, of what is missing.
var strictBuiltin = map[string]bool{"len": true, "index": true, "slice": true, "call": true}

// maxProblems of a file are reported; more help nobody.
const maxProblems = 50

// rewriter walks over one file.
type rewriter struct {
	*parsed
	html   bool
	name   string // of the tree
	within []string
	depth  int // of blocks around
	loops  int // of them loops
}

// parseFile reads and rewrites a file. It says all that is wrong with it and can be told from the file alone.
func parseFile(src source, html bool) *parsed {
	lines := []int{0}
	for i, c := range []byte(src.text) {
		if c == '\n' {
			lines = append(lines, i+1)
		}
	}
	p := &parsed{src: src, lines: lines, refs: map[string][]ref{}, sites: map[string]site{}}
	trees, problem := parseSource(src)
	if problem != nil {
		p.problems = append(p.problems, *problem)
		return p
	}
	p.trees = trees
	for name, tree := range trees {
		if tree.Root == nil {
			continue
		}
		w := &rewriter{parsed: p, html: html, name: name}
		w.list(tree.Root)
		w.tick(tree.Root)
	}
	return p
}

func (w *rewriter) problem(node parse.Node, message, hint string) {
	if len(w.problems) > maxProblems {
		return
	}
	w.problems = append(w.problems, w.src.at(int(node.Position()), message, hint))
}

func (w *rewriter) refer(kind refKind, name string, offset int) {
	w.refs[w.name] = append(w.refs[w.name], ref{kind, name, offset})
}

func (w *rewriter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	var nodes []parse.Node
	for _, n := range l.Nodes {
		if text, ok := n.(*parse.TextNode); ok {
			w.images(text)
			if w.html {
				for _, n := range keepConditions(text) {
					nodes = append(nodes, pieces(n)...)
				}
				continue
			}
		}
		w.node(n)
		nodes = append(nodes, n)
	}
	l.Nodes = nodes
}

// How deep blocks may stand in each other. html/template walks twice through each loop, and so 2^n times through the innermost.
const (
	maxDepth = 50
	maxLoops = 8
)

// tooDeep reports a block that stands in too many others; it is not looked into.
func (w *rewriter) tooDeep(n parse.Node) bool {
	if w.depth > maxDepth || w.loops > maxLoops {
		w.problem(n, fmt.Sprintf("blocks are nested deeper than %d, or loops deeper than %d", maxDepth, maxLoops), `write the inner ones as {{define "name"}} and call them by {{template "name" .}}`)
		return true
	}
	return false
}

func (w *rewriter) node(n parse.Node) {
	w.depth++
	defer func() { w.depth-- }()
	if _, ok := n.(*parse.RangeNode); ok {
		w.loops++
		defer func() { w.loops-- }()
	}
	if w.tooDeep(n) {
		return
	}
	switch n := n.(type) {
	case *parse.ActionNode:
		end := "_shown"
		if len(n.Pipe.Decl) > 0 {
			end = ""
		}
		w.pipe(n.Pipe, end)
	case *parse.IfNode:
		w.condition(n.Pipe)
		w.list(n.List)
		w.list(n.ElseList)
	case *parse.WithNode:
		text := "{{with " + n.Pipe.String() + "}}"
		w.condition(n.Pipe)
		w.inside(text, n.List)
		w.list(n.ElseList)
	case *parse.RangeNode:
		text := "{{range " + n.Pipe.String() + "}}"
		w.pipe(n.Pipe, "_given")
		w.inside(text, n.List)
		if !writes(n.List) {
			w.tick(n.List)
		}
		w.list(n.ElseList)
	case *parse.TemplateNode:
		w.refer(toTemplate, n.Name, int(n.Position()))
		if n.Pipe == nil { // a partial without data gets what is here
			n.Pipe = pipeOf(n.Position(), command(n.Position(), &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Position(), Ident: []string{"$"}}))
		}
		w.pipe(n.Pipe, "")
	}
}

func (w *rewriter) inside(text string, l *parse.ListNode) {
	w.within = append(w.within, text)
	w.list(l)
	w.within = w.within[:len(w.within)-1]
}

// condition: what is missing is false, and so is the number 0, which is a text here.
func (w *rewriter) condition(p *parse.PipeNode) {
	w.pipe(p, "")
	last := p.Cmds[len(p.Cmds)-1]
	p.Cmds = append(p.Cmds, call(last.Position(), "_truth"))
}

// pipe rewrites a pipeline. end is the function that its value has to pass: _given, _shown, or "" for none.
func (w *rewriter) pipe(p *parse.PipeNode, end string) {
	text := p.String()
	var cmds []*parse.CommandNode
	piped := ""
	for i, c := range p.Cmds {
		own := c.String()
		if i > 0 {
			own = piped + " | " + own
		}
		w.command(c, piped, i > 0)
		cmds = append(cmds, c)
		pass := end
		if i < len(p.Cmds)-1 {
			pass = strict(function(p.Cmds[i+1]))
		}
		if pass != "" && gap(c, pass) {
			w.note(c, text, nil)
			cmds = append(cmds, call(c.Position(), pass))
		}
		piped = own
	}
	p.Cmds = cmds
}

// gap reports whether a command may give what cannot pass: nothing, or no text. Functions that write never do.
func gap(c *parse.CommandNode, pass string) bool {
	switch function(c) {
	case "", "default", "and", "or", "index", "slice", "call":
		return true
	case "query":
		return pass == "_shown"
	}
	return false
}

// strict is what the values of a function have to pass.
func strict(name string) string {
	if strictBuiltin[name] {
		return "_given"
	}
	return ""
}

// function returns the name of the function that a command calls, or "".
func function(c *parse.CommandNode) string {
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}
	return ""
}

// note remembers a command for errors.
func (w *rewriter) note(c *parse.CommandNode, text string, args []string) {
	key := w.key(c)
	s := w.sites[key]
	s.within = strings.Join(w.within, " ")
	if text != "" {
		s.text = text
	}
	if args != nil {
		s.args = args
	}
	w.sites[key] = s
}

// key is what text/template says of a place: file, line, and octets from the line's begin.
func (w *rewriter) key(n parse.Node) string {
	pos := int(n.Position())
	line := sort.SearchInts(w.lines, pos+1)
	return fmt.Sprintf("%s:%d:%d", w.src.file, line, pos-w.lines[line-1])
}

func (w *rewriter) command(c *parse.CommandNode, piped string, hasPiped bool) {
	name := function(c)
	args := c.Args
	if name != "" {
		args = args[1:]
		texts := []string{}
		for _, a := range args {
			texts = append(texts, a.String())
		}
		if hasPiped {
			texts = append(texts, piped)
		}
		w.note(c, "", texts)
		w.call(c, name, args, len(texts))
	}
	for i, a := range args {
		replaced := w.argument(a, name)
		if name == "" {
			c.Args[i] = replaced
		} else {
			c.Args[i+1] = replaced
		}
	}
}

// argument rewrites what a function is given. Functions of ours look themselves whether it is there.
func (w *rewriter) argument(a parse.Node, name string) parse.Node {
	logic := name == "and" || name == "or" || name == "not"
	switch n := a.(type) {
	case *parse.PipeNode:
		w.pipe(n, strict(name))
		if logic {
			n.Cmds = append(n.Cmds, call(n.Position(), "_truth"))
		}
	case *parse.ChainNode:
		n.Node = w.argument(n.Node, "")
	case *parse.FieldNode, *parse.VariableNode, *parse.DotNode:
	default:
		return a
	}
	if _, isPipe := a.(*parse.PipeNode); isPipe {
		return a
	}
	inner := command(a.Position(), a)
	switch {
	case logic:
		return pipeOf(a.Position(), inner, call(a.Position(), "_truth"))
	case strictBuiltin[name]:
		w.note(inner, a.String(), nil)
		return pipeOf(a.Position(), inner, call(a.Position(), "_given"))
	}
	return a
}

// call looks whether a function exists and can take that many values, and at the values that are written out.
func (w *rewriter) call(c *parse.CommandNode, name string, args []parse.Node, n int) {
	f, own := functions[name]
	switch {
	case strings.HasPrefix(name, "_") || !own && !strictBuiltin[name] && !lenient[name]:
		w.problem(c, fmt.Sprintf("there is no function %q", name), "the functions are "+functionNames)
	case own:
		t := reflect.TypeOf(f.bind(&state{}, w.html))
		least, most := t.NumIn(), t.NumIn()
		if t.IsVariadic() {
			least, most = least-1, 1000
		}
		if n < least || n > most {
			w.problem(c, fmt.Sprintf("%s is given %d values", name, n), "write it like "+f.example)
			return
		}
		if f.check != nil {
			if message := f.check(w, c, args); message != "" {
				w.problem(c, message, "write it like "+f.example)
			}
		}
	}
}
