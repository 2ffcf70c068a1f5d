package jobfile

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"strings"
)

const referenceHead = `# jobs.yaml

<!-- Generated from the types in jobs/jobfile by go generate. Do not edit. -->

The daemon reads one file, by default ` + "`/etc/outboxd/jobs.yaml`" + `, and the files that it includes. ` + "`outboxd check`" + ` reports
every problem of all of them at once, with its place and a hint, without secrets and without a network.

- A key not listed here is an error, and so is a key given twice.
- An error in the main file stops the program. An error in an included file leaves out the companies of that file and
  nobody else; where two files contradict each other, the later one is wrong.
- YAML anchors, aliases, merge keys, tags and second documents are refused. So is a key without a value.
- Names of servers, accounts, companies and jobs have lower-case letters, digits, ` + "`_`" + ` and ` + "`-`" + `, begin with a letter or digit,
  and have at most 63 characters.
- Relative paths start at the folder of the main file, in included files too.

| Kind of value | How it is written |
| --- | --- |
| length of time | ` + "`100ms` `2s` `5m` `4h` `3d` `2w`" + `, and sums, largest unit first: ` + "`1h30m`" + `. A day has 24 hours. |
| size | octets: ` + "`36700160`" + `; ` + "`KB` `MB` `GB`" + ` are powers of 1000, ` + "`KiB` `MiB` `GiB`" + ` powers of 1024 |
| mails an hour | ` + "`1200/hour`" + `; for an account also ` + "`unlimited`" + ` |
| percentage | ` + "`5%` `0.5%`" + ` |
| limit | ` + "`30/minute` `500/day` `10000 recipients/day`" + ` |
| address | ` + "`mail@acme.example` or `Acme <mail@acme.example>`" + `; a bare address has no name |
| schedule | five fields as of cron, in quotes: minute, hour, day of month, month, day of week (0 to 6, sun to sat): ` + "`\"30 3 * * *\"` `\"0 8 1 jan,jul *\"` `\"*/10 7-18 * * mon-fri\"`" + `. Or words: see [schedules](#schedules) |
| sending window | spans of the week, in 24 hours, none over midnight: ` + "`Mon-Fri 07:00-20:00, Sat 08:00-12:00` `08:00-24:00`" + `. Without days a span is daily |
| date | ` + "`2026-12-24`" + ` |
| secret | a reference, never the secret itself: see [secrets](#secrets) |

## Schedules

Clocks are those of the company's time zone. An hour that comes twice counts once, and a time that is skipped comes at the jump: each
scheduled time has one run.

- ` + "`first business day at 08:00`" + `: the first day of each month that is Monday to Friday and no holiday of the company.
- ` + "`third Wednesday of the quarter at 17:00`" + `: ` + "`first`, `second`, `third`, `fourth` or `last`, then `business day`, `day`, or `Monday` to `Sunday`, then `of the month`, `of the quarter` or `of the year`" + `; of the month where nothing is said.
- ` + "`10th at 09:00`" + `: on that day of each month; months without it are passed over.
- ` + "`every 6h` `every 30m` `every 20s`" + `: at least ` + "`10s`" + `. What divides a day counts from midnight, whole weeks from Monday, anything else from a midnight long ago.

With ` + "`shift: next`" + ` a time on a holiday of the company comes on the next business day, at the same hour; with ` + "`shift: previous`" + ` on the
one before. Two times that land on one are one run. A weekend that is no holiday moves nothing.
`

// Reference returns the reference of all keys as Markdown, made from the types that are decoded.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	section(&b, "The file", "", reflect.TypeFor[mainFile]())
	b.WriteString("\nAn included file has `companies` and, if it likes, `version`.\n")
	b.WriteString("\n## Secrets\n\nExactly one of these keys, wherever a secret is asked for. A missing or empty secret is an error when it is needed.\n")
	table(&b, "", reflect.TypeFor[Secret]())
	return b.Bytes()
}

// section writes the table of one struct and then those of the structs below it.
func section(b *bytes.Buffer, title, path string, t reflect.Type) {
	fmt.Fprintf(b, "\n## %s\n", title)
	table(b, path, t)
	for _, f := range keyed(t) {
		all, many := below(f.Type)
		for _, inner := range all {
			at := dotted(path, f.Tag.Get("key"))
			switch {
			case many:
				at += "." + cmp.Or(strings.ToUpper(f.Tag.Get("names")), "NAME")
			case f.Type.Kind() == reflect.Slice:
				at += "[]"
			}
			title := at
			if kind, ok := inner.FieldByName("Kind"); ok {
				title += ", kind " + kind.Tag.Get("oneof")
			}
			section(b, title, at, inner)
		}
	}
}

// below returns the structs whose keys may stand under a field of this type, or in its items, and whether names stand between.
func below(t reflect.Type) (inner []reflect.Type, many bool) {
	if isKinds(t) {
		for i := range t.NumField() {
			inner = append(inner, t.Field(i).Type.Elem().Elem())
		}
		return inner, true
	}
	if t == audiencesType || t == valuesType {
		return nil, false
	}
	if isNamed(t) {
		return []reflect.Type{t.Elem().Elem()}, true
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t != domainRatesType {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == secretType || t == holidaysType || isLeaf(t) || t == zoneType.Elem() {
		return nil, false
	}
	return []reflect.Type{t}, false
}

func dotted(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

func table(b *bytes.Buffer, path string, t reflect.Type) {
	b.WriteString("\n| Key | Value | Default | Meaning | Example |\n| --- | --- | --- | --- | --- |\n")
	for _, f := range keyed(t) {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", dotted(path, f.Tag.Get("key")), valueOf(f), defaultOf(f.Tag), f.Tag.Get("doc"), code(f.Tag.Get("eg")))
	}
}

func valueOf(f reflect.StructField) string {
	if words := f.Tag.Get("oneof"); words != "" {
		return "`" + strings.ReplaceAll(words, "|", "` `") + "`"
	}
	what := f.Tag.Get("is")
	if what == "" {
		what = wantedBelow(f.Type)
	}
	if low, high, ok := strings.Cut(f.Tag.Get("range"), ".."); ok {
		what += ", " + low + " to " + high
	}
	return what
}

func wantedBelow(t reflect.Type) string {
	inner, many := below(t)
	switch {
	case many:
		return "names, each with keys"
	case inner != nil:
		return "keys"
	}
	return strings.TrimPrefix(wanted(t), "a ")
}

func defaultOf(tag reflect.StructTag) string {
	switch {
	case tag.Get("required") != "":
		return "required"
	case tag.Get("default") != "":
		return code(tag.Get("default"))
	}
	return tag.Get("otherwise")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
