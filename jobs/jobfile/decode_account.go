package jobfile

import (
	"reflect"

	"go.yaml.in/yaml/v4"
)

var (
	domainRatesType = reflect.TypeFor[[]DomainRate]()
	holidaysType    = reflect.TypeFor[Holidays]()
)

// domainRates decodes a mapping from domains to rates. The checks look at the domains.
func (d *decoder) domainRates(n *yaml.Node, path string, list *[]DomainRate) {
	d.mapping(n, path, "domains, each with a rate,", func(key, value *yaml.Node) {
		at := join(path, key.Value)
		d.mark(at, key, value)
		item := DomainRate{Name: key.Value}
		d.value(value, at, reflect.ValueOf(&item.Rate).Elem(), `eg:"gmail.com: 300/hour"`)
		d.bad[path] = d.bad[path] || d.bad[at]
		*list = append(*list, item)
	})
}

// holidays decodes a list of dates, or the path of a file, which the checks read.
func (d *decoder) holidays(n *yaml.Node, path string, h *Holidays, tag reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		d.value(n, path, reflect.ValueOf(&h.File).Elem(), tag)
		return
	}
	var dates []string
	d.value(n, path, reflect.ValueOf(&dates).Elem(), tag)
	var days []Day
	for i, text := range dates {
		at := indexed(path, i)
		if d.bad[at] {
			continue
		}
		date, err := parseDate(text)
		if err != nil {
			d.fail(at, text, err.Error(), "a year, a month and a day: 2026-12-24")
			d.bad[path] = true
			continue
		}
		days = append(days, dayOf(date))
	}
	*h = newHolidays("", days)
}
