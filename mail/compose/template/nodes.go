package template

import (
	"text/template/parse"
)

// What the rewriter adds to a file.

func call(pos parse.Pos, name string) *parse.CommandNode {
	return command(pos, parse.NewIdentifier(name).SetPos(pos))
}

func command(pos parse.Pos, args ...parse.Node) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: args}
}

func pipeOf(pos parse.Pos, cmds ...*parse.CommandNode) *parse.PipeNode {
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: cmds}
}

// writes reports whether each round of a loop begins by writing something: the output looks at the context itself.
func writes(l *parse.ListNode) bool {
	if len(l.Nodes) == 0 {
		return false
	}
	text, ok := l.Nodes[0].(*parse.TextNode)
	return ok && len(text.Text) > 0
}

// tick lets a round of a loop, and every template, end when the context has ended.
func (w *rewriter) tick(l *parse.ListNode) {
	pos := l.Position()
	node := &parse.IfNode{BranchNode: parse.BranchNode{NodeType: parse.NodeIf, Pos: pos,
		Pipe: pipeOf(pos, call(pos, "_tick")), List: &parse.ListNode{NodeType: parse.NodeList, Pos: pos}}}
	l.Nodes = append([]parse.Node{node}, l.Nodes...)
}
