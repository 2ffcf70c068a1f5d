package template

import (
	"bytes"
	"regexp"
	"strconv"
	"text/template/parse"
)

// imageMark finds cid:NAME where the name ends within the text and looks like that of an image file. Other names may be those
// of a row's own attachments.
var imageMark = regexp.MustCompile(`(?i)["'(=\s]cid:([^"'()\s<>]+\.(?:png|jpe?g|gif|webp|svg|bmp|ico))["')\s>]`)

func (w *rewriter) images(n *parse.TextNode) {
	for _, m := range imageMark.FindAllSubmatchIndex(n.Text, -1) {
		w.refer(toImage, string(n.Text[m[2]:m[3]]), int(n.Pos)+m[2])
	}
}

// conditionMark is what designers write for Outlook. html/template would drop it as a comment.
var conditionMark = regexp.MustCompile(`<!--\[if[^\]]*\]>(?:<!-->|-->)?|<!--<!\[endif\]-->|<!\[endif\]-->`)

// keepConditions divides a text so that the marks go out as they are, and what stands between them is HTML like any other.
func keepConditions(n *parse.TextNode) []parse.Node {
	var nodes []parse.Node
	pos := n.Pos
	for _, m := range conditionMark.FindAllIndex(n.Text, -1) {
		start := int(pos - n.Pos)
		nodes = append(nodes, &parse.TextNode{NodeType: parse.NodeText, Pos: pos, Text: n.Text[start:m[0]]})
		mark := string(n.Text[m[0]:m[1]])
		at := n.Pos + parse.Pos(m[0])
		literal := command(at, parse.NewIdentifier("_literal").SetPos(at),
			&parse.StringNode{NodeType: parse.NodeString, Pos: at, Quoted: strconv.Quote(mark), Text: mark})
		nodes = append(nodes, &parse.ActionNode{NodeType: parse.NodeAction, Pos: at, Pipe: pipeOf(at, literal)})
		pos = n.Pos + parse.Pos(m[1])
	}
	return append(nodes, &parse.TextNode{NodeType: parse.NodeText, Pos: pos, Text: n.Text[pos-n.Pos:]})
}

// pieceSize is how long a text html/template gets at a time: it takes time by the square of it where there are many stray <.
const pieceSize = 1 << 10

// pieces cuts a long text, always before a <.
func pieces(n parse.Node) []parse.Node {
	text, ok := n.(*parse.TextNode)
	if !ok {
		return []parse.Node{n}
	}
	var nodes []parse.Node
	for len(text.Text) > pieceSize {
		i := bytes.IndexByte(text.Text[pieceSize:], '<')
		if i < 0 {
			break
		}
		i += pieceSize
		nodes = append(nodes, &parse.TextNode{NodeType: parse.NodeText, Pos: text.Pos, Text: text.Text[:i]})
		text = &parse.TextNode{NodeType: parse.NodeText, Pos: text.Pos + parse.Pos(i), Text: text.Text[i:]}
	}
	return append(nodes, text)
}
