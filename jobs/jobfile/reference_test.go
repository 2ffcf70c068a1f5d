package jobfile

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestReferenceIsFresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/jobs-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), Reference()) {
		t.Error("docs/jobs-yaml.md is not what the types say; run go generate ./jobs/jobfile")
	}
}

// TestTags checks what the decoder and the reference take for granted: each key of the main file has a meaning, an
// example, and is required or has a default; every default and range can be parsed; the example decodes.
func TestTags(t *testing.T) {
	checkTags(t, "", reflect.TypeFor[mainFile]())
	checkTags(t, "password", secretType)
}

func checkTags(t *testing.T, path string, typ reflect.Type) {
	for _, f := range reflect.VisibleFields(typ) {
		key := f.Tag.Get("key")
		if key == "" {
			if f.Name != "Name" && !f.Anonymous {
				t.Errorf("%s.%s has no key", typ, f.Name)
			}
			continue
		}
		at := dotted(path, key)
		if f.Tag.Get("doc") == "" || f.Tag.Get("eg") == "" || defaultOf(f.Tag) == "" {
			t.Errorf("%s: needs doc, eg, and one of required, default, otherwise", at)
		}
		if !strings.Contains(f.Tag.Get("eg"), key+": ") {
			t.Errorf("%s: the example is of something else", at)
		}
		checkLeafTags(t, at, f)
		checkExample(t, at, f.Tag.Get("eg"), typ)
		all, _ := below(f.Type)
		for _, inner := range all {
			checkTags(t, at, inner)
		}
	}
}

// checkExample decodes an example into the type it is for; that other required keys are missing is no matter.
func checkExample(t *testing.T, at, example string, typ reflect.Type) {
	src := newSource("example")
	root := src.parse([]byte(example))
	if root != nil {
		(&decoder{source: src}).document(root, reflect.New(typ).Interface())
	}
	for _, p := range src.problems {
		if p.Message != "is missing" {
			t.Errorf("%s: example %s: %s", at, example, p)
		}
	}
}

func checkLeafTags(t *testing.T, at string, f reflect.StructField) {
	typ := f.Type
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if text, ok := f.Tag.Lookup("default"); ok {
		if _, err := parseLeaf(text, typ, f.Tag); err != nil {
			t.Errorf("%s: default %s %v", at, text, err)
		}
	}
	if limits, ok := f.Tag.Lookup("range"); ok {
		for text := range strings.SplitSeq(limits, "..") {
			if _, err := parseLeaf(text, typ, f.Tag); err != nil {
				t.Errorf("%s: range %s %v", at, text, err)
			}
		}
	}
}

// TestTheExampleShowsEveryKey keeps jobs.yaml complete.
func TestTheExampleShowsEveryKey(t *testing.T) {
	data, err := os.ReadFile("../../jobs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(Reference())) {
		cell, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		path, _, _ := strings.Cut(cell, "`")
		if key := path[strings.LastIndexByte(path, '.')+1:]; !strings.Contains(string(data), key+":") {
			t.Errorf("jobs.yaml does not show %s", path)
		}
	}
}
