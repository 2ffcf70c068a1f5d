package jobfile

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder fills the types of this package from YAML nodes, guided by the tags of their fields:
//
//	key       the key in the file
//	required  the key must be there
//	default   what an absent key means
//	otherwise the same in words, where it depends on other keys; the checks fill it in
//	oneof     the words allowed, separated by |
//	range     the least and the most
//	names     what the keys of a mapping are, where they are no names: domain
//	text      long: of several lines
//	hint      what to do about a value that is not allowed
//	doc, is, eg  meaning, kind of value and example for the reference
//
// It goes on after every problem, so that all are found in one pass.
type decoder struct {
	*source
	misplaced map[string]string // unknown keys of the top level that have a hint of their own
}

// document decodes the whole file into a struct.
func (d *decoder) document(n *yaml.Node, v any) {
	d.mark("", n, n)
	d.value(n, "", reflect.ValueOf(v).Elem(), "")
}

// mark remembers where a value stands. What has keys of its own is found at its name.
func (d *decoder) mark(path string, key, value *yaml.Node) {
	at := value
	if value.Kind == yaml.MappingNode {
		at = key
	}
	d.at[path] = mark{keyLine: key.Line, keyColumn: key.Column, line: at.Line, column: at.Column}
}

// fail reports a value that cannot be read.
func (d *decoder) fail(path, value, message, hint string) {
	d.bad[path] = true
	d.wrong(path, value, message, hint)
}

func (d *decoder) value(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	if !d.plain(n, path) {
		return
	}
	switch t := v.Type(); {
	case t == secretType:
		d.secret(n, path, v)
	case t == domainRatesType:
		d.domainRates(n, path, v.Addr().Interface().(*[]DomainRate))
	case t == audiencesType:
		d.audiences(n, path, v.Addr().Interface().(*[]*Audience))
	case t == valuesType:
		d.values(n, path, v.Addr().Interface().(*[]Value))
	case t == holidaysType:
		d.holidays(n, path, v.Addr().Interface().(*Holidays), tag)
	case isLeaf(t):
		d.leaf(n, path, v, tag)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.value(n, path, v.Elem(), tag)
	case isKinds(t):
		d.named(n, path, tag, func(item *yaml.Node, path string) (reflect.Value, bool) { return d.ofKind(item, path, v) })
	case t.Kind() == reflect.Struct:
		d.structure(n, path, v)
	case isNamed(t):
		d.named(n, path, tag, func(*yaml.Node, string) (reflect.Value, bool) { return v, true })
	default:
		d.list(n, path, v, tag)
	}
}

// isNamed tells a mapping from names to structs, kept as a slice in the order of the file.
func isNamed(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Pointer
}

// isKinds tells a mapping from names to structs of several types, which the key kind tells apart. It is kept as a struct
// with a slice for each kind.
func isKinds(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("kind") != ""
}

// plain refuses what YAML has beyond keys, lists and values.
func (d *decoder) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(path, "", "an alias", "aliases are not used in this file; write the value out, or put text that begins with * into quotes")
	case n.Anchor != "":
		d.fail(path, "", "an anchor", "anchors are not used in this file; text that begins with & needs quotes")
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(path, "", "a tag", "tags are not used in this file; text that begins with ! needs quotes")
	case n.ShortTag() == "!!null":
		d.fail(path, "", "has no value", "give one, or remove the key")
	default:
		return true
	}
	return false
}

// kindOf names what stands in the file, for people.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!bool":
		return "true or false"
	case n.ShortTag() == "!!int" || n.ShortTag() == "!!float":
		return "a number"
	}
	return "text"
}

// mapping walks the keys of a mapping, less the broken and the repeated ones.
// The text of a key is passed on as it is; a problem shows it only outside of a secret.
func (d *decoder) mapping(n *yaml.Node, path, want string, each func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		d.fail(path, "", kindOf(n)+" where "+want+" are expected", "")
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		problem := Problem{Line: key.Line, Column: key.Column, Path: path}
		switch first, again := seen[key.Value]; {
		case key.ShortTag() == "!!merge":
			problem.Message, problem.Hint = "a merge key", "merge keys are not used in this file; write the keys out"
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || key.ShortTag() == "!!null":
			problem.Message, problem.Hint = "a key that is not plain text", "a key is one word"
		case again:
			problem.Message, problem.Hint = fmt.Sprintf("a key that was given before, in line %d", first), "remove one of the two"
			if !d.secretAt(path) {
				problem.Path = join(path, key.Value)
			}
		default:
			seen[key.Value] = key.Line
			each(key, value)
			continue
		}
		d.add(problem)
	}
	return true
}

// secretAt tells whether the path is a secret: nothing that stands there is shown.
func (d *decoder) secretAt(path string) bool { return d.secrets[path] }

// join puts a key under a path. Different keys make different paths: what is odd is quoted.
func join(path, key string) string {
	if !plainKey(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func plainKey(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value) {
	fields := map[string]reflect.StructField{}
	var keys []string
	for _, f := range keyed(v.Type()) {
		key := f.Tag.Get("key")
		fields[key] = f
		keys = append(keys, key)
		d.preset(v.FieldByIndex(f.Index), f.Tag)
	}
	given := map[string]bool{}
	ok := d.mapping(n, path, "keys ("+strings.Join(keys, ", ")+")", func(key, value *yaml.Node) {
		field, known := fields[key.Value]
		if !known {
			d.unknown(path, key, value, keys)
			return
		}
		given[key.Value] = true
		at := join(path, key.Value)
		d.mark(at, key, value)
		d.value(value, at, v.FieldByIndex(field.Index), field.Tag)
	})
	if !ok {
		return
	}
	for _, key := range keys {
		tag := fields[key].Tag
		if !given[key] && tag.Get("required") != "" {
			d.fail(join(path, key), "", "is missing", example(tag))
		}
	}
}

// keyed returns the fields of a struct that are keys, those of an embedded struct among them.
func keyed(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Tag.Get("key") == "" })
}

func example(tag reflect.StructTag) string {
	if eg := tag.Get("eg"); eg != "" {
		return "for example " + eg
	}
	return ""
}

func (d *decoder) unknown(path string, key, value *yaml.Node, known []string) {
	p := Problem{Line: key.Line, Column: key.Column, Path: path, Message: "an unknown key", Hint: "known here: " + strings.Join(known, ", ")}
	if !d.secretAt(path) && (plainKey(key.Value) || shown(key.Value) != "") {
		p.Path, p.Message = join(path, key.Value), "unknown key"
		if near := nearest(key.Value, known); near != "" {
			p.Hint = "did you mean " + near + "?"
		} else if strings.Contains(key.Value, " ") && value.ShortTag() == "!!null" { // the rest of a text
			p.Hint = "within braces a text with a comma needs quotes"
		} else if hint := d.misplaced[key.Value]; path == "" && hint != "" {
			p.Hint = hint
		}
	}
	d.add(p)
}

// named decodes a mapping from names to structs with a field Name. list says into which slice a struct belongs, or
// reports that it belongs into none.
func (d *decoder) named(n *yaml.Node, path string, tag reflect.StructTag, list func(item *yaml.Node, path string) (reflect.Value, bool)) {
	d.mapping(n, path, "names, each with its keys,", func(key, value *yaml.Node) {
		at := join(path, key.Value)
		d.mark(at, key, value)
		if message, hint := nameFault(key.Value, tag); message != "" {
			d.add(Problem{Line: key.Line, Column: key.Column, Path: at, Message: message, Hint: hint})
		}
		v, ok := list(value, at)
		if !ok {
			return
		}
		item := reflect.New(v.Type().Elem().Elem())
		item.Elem().FieldByName("Name").SetString(key.Value)
		d.value(value, at, item.Elem(), "")
		v.Set(reflect.Append(v, item))
	})
}

// nameFault tells what is wrong with a name in a mapping, "" when it can be one.
func nameFault(name string, tag reflect.StructTag) (message, hint string) {
	if tag.Get("names") == "domain" {
		if _, err := parseDomain(name); err != nil {
			return err.Error(), "the part of a sender's address after the @, for example acme.example"
		}
		return "", ""
	}
	if !validName(name) {
		return "not a valid name", "a name has lower-case letters, digits, _ and -, begins with a letter or digit, and has at most 63 characters"
	}
	return "", ""
}

// ofKind returns the slice of v for a struct by its key kind. What is not even that is left to
// the decoding.
func (d *decoder) ofKind(n *yaml.Node, path string, v reflect.Value) (list reflect.Value, ok bool) {
	if n.Kind != yaml.MappingNode {
		return v.Field(0), true
	}
	var known []string
	for i := range v.NumField() {
		known = append(known, v.Type().Field(i).Tag.Get("kind"))
	}
	at := join(path, "kind")
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value != "kind" {
			continue
		}
		if value.Kind != yaml.ScalarNode {
			return v.Field(0), true
		}
		if n := slices.Index(known, value.Value); n >= 0 {
			return v.Field(n), true
		}
		hint := "this version knows " + namesOf(known)
		if near := nearest(value.Value, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		d.mark(at, key, value)
		d.fail(at, value.Value, "is no kind of job", hint)
		return v, false
	}
	d.fail(at, "", "is missing", "for example kind: "+known[0])
	return v, false
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if eg := tag.Get("eg"); eg != "" {
			hint = "a list stands in brackets: " + eg
		}
		d.fail(path, "", kindOf(n)+" where a list is expected", hint)
		return
	}
	if len(n.Content) == 0 {
		d.fail(path, "", "an empty list", "remove the key, or name what belongs here")
		return
	}
	for i, item := range n.Content {
		at := indexed(path, i)
		d.mark(at, item, item)
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(item, at, e, tag)
		d.bad[path] = d.bad[path] || d.bad[at]
		if slices.ContainsFunc(n.Content[:i], func(o *yaml.Node) bool { return o.Kind == yaml.ScalarNode && o.Value == item.Value }) {
			d.wrong(at, item.Value, "named twice", "remove one of the two")
		}
		v.Set(reflect.Append(v, e))
	}
}

// secret decodes a reference. Whatever stands here instead is never shown.
func (d *decoder) secret(n *yaml.Node, path string, v reflect.Value) {
	d.secrets[path] = true
	if n.Kind == yaml.ScalarNode {
		d.fail(path, "", "a secret is never written into this file", "keep it elsewhere and refer to it: {file: PATH}, {credential: NAME} or {env: NAME}")
		return
	}
	before := len(d.problems)
	d.structure(n, path, v)
	if len(d.problems) > before {
		d.bad[path] = true
		return
	}
	given := 0
	for i := range v.NumField() {
		if _, ok := d.at[join(path, v.Type().Field(i).Tag.Get("key"))]; ok {
			given++
		}
	}
	if given != 1 {
		d.fail(path, "", "a secret has exactly one place", "{file: PATH}, {credential: NAME} or {env: NAME}")
	}
}
