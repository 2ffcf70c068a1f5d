package compose

import "testing"

func TestStack(t *testing.T) {
	var s stack[int]
	if s.pop(); s.top() != nil || s.depth() != 0 {
		t.Error("an empty stack has a top")
	}
	for i := range maxDepth + 2 {
		s.push(i)
	}
	if s.depth() != maxDepth+2 || *s.top() != maxDepth-1 || len(s.items) != maxDepth {
		t.Errorf("depth %d, top %d", s.depth(), *s.top())
	}
	s.pop()
	s.pop()
	if *s.top() != maxDepth-1 {
		t.Errorf("top %d after the overflow", *s.top())
	}
	if s.pop(); *s.top() != maxDepth-2 || s.depth() != maxDepth-1 {
		t.Errorf("depth %d, top %d", s.depth(), *s.top())
	}
}

func TestTextWriterGaps(t *testing.T) {
	w := textWriter{linkStart: noLink}
	w.space()
	w.block(2)
	w.write("a")
	w.space()
	w.block(1)
	w.block(2)
	w.block(1)
	w.space()
	w.write("b ")
	w.writeBehind("!")
	w.block(2)
	if got, want := w.String(), "a\n\nb!"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
