package page

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// frameHead begins the frame's document. The page's own policy holds in it too; nothing there depends on that.
const frameHead = `<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">` +
	`<meta http-equiv="x-dns-prefetch-control" content="off">`

// maxFrame bounds the frame's document: a message may show one large picture a thousand times.
const maxFrame = 32 << 20

// frame makes the document that stands in the frame, "" without an HTML part. The frame's sandbox and policy keep it from
// running, loading and leading anywhere. They do not keep some elements from opening a connection ahead of need (a frame's
// address, link) or from changing what holds in the document (meta, base), so those are left out.
func (m *Message) frame() (document string, faults []string) {
	if m.HTML == "" {
		return "", nil
	}
	p := &pictures{files: map[string]File{}, missing: map[string]bool{}, room: maxFrame}
	for _, f := range m.Files {
		if f.ContentID != "" {
			p.files[f.ContentID] = f
		}
	}
	root, err := html.ParseWithOptions(strings.NewReader(m.HTML), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", []string{"the HTML part cannot be shown: " + shownText(err.Error())}
	}
	var out []*html.Node
	for n := range root.Descendants() {
		switch n.Data {
		case "link", "meta", "base", "iframe", "frame":
			if n.Type == html.ElementNode {
				out = append(out, n)
			}
		}
		for i := range n.Attr {
			n.Attr[i].Val = p.show(n.Attr[i].Val)
		}
		if n.Type == html.TextNode && n.Parent.Data == "style" {
			n.Data = p.show(n.Data)
		}
	}
	for _, n := range out {
		n.Parent.RemoveChild(n)
	}
	var b strings.Builder
	b.WriteString(frameHead)
	if err := html.Render(&b, root); err != nil {
		return "", []string{"the HTML part cannot be shown: " + shownText(err.Error())}
	}
	return b.String(), p.faults
}

// pictures puts a message's pictures where its HTML refers to them.
type pictures struct {
	files   map[string]File // by Content-ID
	missing map[string]bool
	room    int // octets that the document still takes
	faults  []string
}

func (p *pictures) fault(format string, args ...any) {
	p.faults = append(p.faults, shownText(fmt.Sprintf(format, args...)))
}

var cidReference = regexp.MustCompile(`(?i)\bcid:[^\s"'()<>,;]+`)

// show replaces references (RFC 2392) by the pictures themselves.
func (p *pictures) show(text string) string {
	if !strings.Contains(strings.ToLower(text), "cid:") {
		return text
	}
	return cidReference.ReplaceAllStringFunc(text, func(reference string) string {
		id, err := url.PathUnescape(reference[len("cid:"):])
		if err != nil {
			id = reference[len("cid:"):]
		}
		f, found := p.files[id]
		switch {
		case !found && !p.missing[id] && len(p.missing) < maxParts:
			p.missing[id] = true
			p.fault("the HTML part refers to cid:%s, and no part has that Content-ID", id)
			return reference
		case !found:
			return reference
		case !pictureType.MatchString(f.Type):
			return reference
		case f.Content == nil || len(f.Content)*4/3 > p.room:
			if !p.missing[id] {
				p.missing[id] = true
				p.fault("the page has no room for the picture cid:%s", id)
			}
			return reference
		}
		p.room -= len(f.Content) * 4 / 3
		return dataURI(f.Type, f.Content)
	})
}

var pictureType = regexp.MustCompile(`^image/[a-zA-Z0-9.+-]+$`)

// dataURI is content as an address of itself.
func dataURI(kind string, content []byte) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content)
}
