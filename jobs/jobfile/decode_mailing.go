package jobfile

import (
	"encoding/json"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

var (
	audiencesType = reflect.TypeFor[[]*Audience]()
	valuesType    = reflect.TypeFor[[]Value]()
)

// audiences decodes a mapping from names to queries.
func (d *decoder) audiences(n *yaml.Node, path string, list *[]*Audience) {
	d.mapping(n, path, "names, each with a query,", func(key, value *yaml.Node) {
		at := join(path, key.Value)
		d.mark(at, key, value)
		if message, hint := nameFault(key.Value, ""); message != "" {
			if strings.Contains(key.Value, " ") { // the rest of a query
				hint = "within braces a query with commas needs quotes; or write it below the name: NAME: SELECT ..."
			}
			d.add(Problem{Line: key.Line, Column: key.Column, Path: at, Message: message, Hint: hint})
		}
		if value.ShortTag() == "!!null" && strings.Contains(key.Value, " ") {
			d.bad[path] = true
			return
		}
		item := &Audience{Name: key.Value}
		d.value(value, at, reflect.ValueOf(&item.Query).Elem(), `text:"long" eg:"staff: SELECT email AS recipients, name FROM staff"`)
		*list = append(*list, item)
	})
}

// values decodes a mapping from the names of parameters to values.
func (d *decoder) values(n *yaml.Node, path string, list *[]Value) {
	d.mapping(n, path, "names, each with a value,", func(key, value *yaml.Node) {
		at := join(path, key.Value)
		d.mark(at, key, value)
		if !d.plain(value, at) {
			d.bad[path] = true
			return
		}
		item := Value{Name: key.Value}
		const hint = "a text, a number, true or false: with: {min: 0.50, city: Rome}"
		switch quoted := value.Style != 0; {
		case value.Kind != yaml.ScalarNode:
			d.fail(at, "", kindOf(value)+" where a value is expected", hint)
		case quoted || value.ShortTag() == "!!str" || value.ShortTag() == "!!timestamp":
			item.Value = value.Value
		case value.ShortTag() == "!!bool" && (value.Value == "true" || value.Value == "false"):
			item.Value = value.Value == "true"
		case isNumber(value.Value):
			item.Value = json.Number(value.Value)
		default:
			d.fail(at, "", kindOf(value)+" in a form that can be read in several ways", "digits with a point, as 1200 or 0.50; put text into quotes")
		}
		d.bad[path] = d.bad[path] || d.bad[at]
		*list = append(*list, item)
	})
}

// isNumber tells whether a text is a number as of JSON.
func isNumber(text string) bool {
	return strings.ContainsAny(text, "0123456789") && json.Valid([]byte(text)) && !strings.ContainsAny(text, `"[{ `)
}
