package compose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prefixes do not grow beyond these, or a few hundred kilobytes of nested tags would become gigabytes.
const (
	maxQuotes = 5
	maxIndent = 8
	maxDepth  = 500 // lists in lists and tables in tables that are told apart
)

// The values of textWriter.linkStart that are no position.
const (
	noLink    = -1
	linkAhead = -2 // a link is open and has no text yet
)

// textWriter lays out text. Gaps (line feeds, cell separators, blanks) are owed until the next visible character, so
// none stands at an end, and the larger of two neighbouring gaps wins.
type textWriter struct {
	buf       []byte
	lines     int    // line feeds written
	breaks    int    // line feeds owed
	seps      int    // cell separators owed
	blank     []byte // white space owed
	marker    string // list mark owed; the item is empty so far
	quote     int    // depth of quotation from here on
	lastQuote int    // of the line last written
	indent    int    // depth of lists from here on
	linkStart int    // where the open link's text starts in buf
	tables    stack[table]
}

// table is one open <table>. Its marks are lengths of buf: nothing was written since while they are equal.
type table struct {
	start    int // at its start
	seps     int // separators owed at its start: they belong to the table around it
	row      int // at the start of its row
	cells    int // cells started in the row
	cell     int // at the start of its cell
	cellLine int // the line on which the cell starts
	inRow    bool
	inCell   bool
}

// String returns the text without a line feed at its end.
func (w *textWriter) String() string { return string(w.buf) }

// write appends running text with its white space collapsed.
func (w *textWriter) write(s string) {
	for s != "" {
		if n := plainRun(s); n > 0 {
			w.settle()
			n += proseRun(s[n:])
			w.buf = append(w.buf, s[:n]...)
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case isHTMLSpace(r):
			w.space()
		case isInvisible(r):
		default:
			w.settle()
			w.buf = utf8.AppendRune(w.buf, r)
		}
	}
}

// plainRun counts the visible ASCII characters that s starts with.
func plainRun(s string) int {
	i := 0
	for i < len(s) && ' ' < s[i] && s[i] < 0x7f {
		i++
	}
	return i
}

// proseRun counts the words, each with one blank before it, that s begins with: behind a word they go out as they are.
func proseRun(s string) int {
	n := 0
	for n+1 < len(s) && s[n] == ' ' && ' ' < s[n+1] && s[n+1] < 0x7f {
		n += 1 + plainRun(s[n+1:])
	}
	return n
}

// writePre appends preformatted text.
func (w *textWriter) writePre(s string) {
	for _, r := range s {
		switch {
		case r == '\n':
			w.lineBreak(true)
		case r == ' ', r == '\t':
			w.blank = append(w.blank, byte(r))
		case r == '\u00a0':
			w.blank = append(w.blank, ' ')
		case isInvisible(r):
		default:
			w.settle()
			w.buf = utf8.AppendRune(w.buf, r)
		}
	}
}

// writeBehind appends s to the last line, even where a gap is owed already.
func (w *textWriter) writeBehind(s string) {
	breaks, seps, marker, blank := w.breaks, w.seps, w.marker, len(w.blank) > 0
	w.breaks, w.seps, w.marker, w.blank = 0, 0, "", w.blank[:0]
	w.write(s)
	w.breaks, w.seps, w.marker = breaks, seps, marker
	if blank {
		w.space()
	}
}

// settle writes what is owed before a visible character.
func (w *textWriter) settle() {
	newLine := w.breaks > 0 || len(w.buf) == 0
	if newLine {
		w.newLine()
	}
	for ; w.seps > 0; w.seps-- {
		if last := len(w.buf) - 1; !newLine && w.buf[last] != ' ' {
			w.buf = append(w.buf, ' ')
		}
		w.buf = append(w.buf, "| "...)
	}
	w.buf = append(append(w.buf, w.marker...), w.blank...)
	w.breaks, w.marker, w.blank = 0, "", w.blank[:0]
	if w.linkStart == linkAhead {
		w.linkStart = len(w.buf)
	}
}

// newLine writes the line feeds owed, with the marks of quotation, and the indent of the new line.
func (w *textWriter) newLine() {
	if len(w.buf) > 0 {
		w.lines += w.breaks
		between := min(w.lastQuote, w.quote, maxQuotes)
		for range w.breaks - 1 {
			w.buf = append(w.buf, '\n')
			w.buf = append(w.buf, strings.TrimSuffix(strings.Repeat("> ", between), " ")...)
		}
		w.buf = append(w.buf, '\n')
	}
	w.lastQuote = w.quote
	for range min(w.quote, maxQuotes) {
		w.buf = append(w.buf, "> "...)
	}
	indent := min(w.indent, maxIndent)
	if w.marker != "" {
		indent-- // the mark hangs
	}
	for range indent {
		w.buf = append(w.buf, "  "...)
	}
}

// space owes a blank, except where a line, a cell or an item starts.
func (w *textWriter) space() {
	if len(w.blank) == 0 && len(w.buf) > 0 && w.breaks == 0 && w.seps == 0 && w.marker == "" {
		w.blank = append(w.blank, ' ')
	}
}

// block owes at least n line feeds: 1 a new line, 2 an empty line, 0 nothing.
func (w *textWriter) block(n int) {
	if n == 0 || w.fresh() {
		return
	}
	w.breaks = max(w.breaks, n)
	w.blank = w.blank[:0]
}

// lineBreak owes one line feed more. Outside preformatted text there is never more than one empty line.
func (w *textWriter) lineBreak(pre bool) {
	if w.fresh() {
		return
	}
	if pre || w.breaks < 2 {
		w.breaks++
	}
	w.blank = w.blank[:0]
}

// fresh reports whether an item or a cell has nothing in it yet: blocks at its start do not tear it from its mark.
func (w *textWriter) fresh() bool {
	if w.marker != "" {
		return true
	}
	t := w.tables.top()
	return t != nil && t.inCell && t.cell == len(w.buf)
}

func (w *textWriter) startTable() {
	w.tables.push(table{start: len(w.buf), seps: w.seps})
}

func (w *textWriter) endTable() {
	w.dropSeps()
	w.tables.pop()
}

// dropSeps forgets the separators of empty cells at the end of a row.
func (w *textWriter) dropSeps() {
	t := w.tables.top()
	if t == nil {
		return
	}
	w.seps = 0
	if t.start == len(w.buf) {
		w.seps = t.seps
	}
}

func (w *textWriter) startRow() {
	t := w.tables.top()
	if t == nil {
		w.block(1)
		return
	}
	w.dropSeps()
	if t.start != len(w.buf) {
		w.gapAfterCell(t)
	}
	t.row, t.cells, t.inRow, t.inCell = len(w.buf), 0, true, false
}

func (w *textWriter) endRow() {
	w.dropSeps()
	t := w.tables.top()
	if t != nil {
		t.inRow, t.inCell = false, false
	}
	if t == nil || t.start != len(w.buf) { // empty rows leave a table where it starts
		w.block(1)
	}
}

func (w *textWriter) startCell() {
	t := w.tables.top()
	if t == nil {
		w.space()
		return
	}
	if !t.inRow {
		w.startRow()
	}
	t.cells++
	switch {
	case t.cells == 1:
	case t.row == len(w.buf): // empty cells only so far: their separators stand behind the row's line feed
		w.seps++
	case w.lines != t.cellLine: // a cell of several lines: the next one starts below it
		w.gapAfterCell(t)
	default:
		w.breaks = 0
		w.blank = w.blank[:0]
		w.seps++
	}
	t.cell, t.inCell, t.cellLine = len(w.buf), true, w.lines
	if len(w.buf) > 0 {
		t.cellLine += w.breaks
	}
}

func (w *textWriter) endCell() {
	if t := w.tables.top(); t != nil {
		t.inCell = false
	}
	w.space()
}

// gapAfterCell owes one line feed, and the empty line behind a last paragraph only when the cell had several lines.
func (w *textWriter) gapAfterCell(t *table) {
	if w.lines == t.cellLine {
		w.breaks = 0
	}
	w.breaks = max(w.breaks, 1)
	w.seps = 0
	w.blank = w.blank[:0]
}

// linkText ends the open link and returns its text.
func (w *textWriter) linkText() string {
	start := w.linkStart
	w.linkStart = noLink
	if start < 0 {
		return ""
	}
	return string(w.buf[start:])
}

// isHTMLSpace: the white space of HTML, and the no-break space, which on paper is a space.
func isHTMLSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\r', '\f', '\u00a0':
		return true
	}
	return false
}

// isInvisible: controls, and characters that only say where a line may be broken.
func isInvisible(r rune) bool {
	switch r {
	case '\u00ad', '\u200b', '\ufeff':
		return true
	}
	return unicode.IsControl(r)
}

// stack is a stack of limited memory: above maxDepth it only counts.
type stack[T any] struct {
	items []T
	above int
}

func (s *stack[T]) push(v T) {
	if len(s.items) == maxDepth {
		s.above++
		return
	}
	s.items = append(s.items, v)
}

// pop does nothing on an empty stack: there are more end tags than tags.
func (s *stack[T]) pop() {
	switch {
	case s.above > 0:
		s.above--
	case len(s.items) > 0:
		s.items = s.items[:len(s.items)-1]
	}
}

// top returns nil for an empty stack.
func (s *stack[T]) top() *T {
	if len(s.items) == 0 {
		return nil
	}
	return &s.items[len(s.items)-1]
}

func (s *stack[T]) depth() int { return len(s.items) + s.above }
