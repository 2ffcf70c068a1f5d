package db

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync/atomic"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queries holds the named statements of the files in queries/, read once and never changed.
type queries map[string]string

var nameLine = regexp.MustCompile(`^-- name: ([a-z-]+)$`)

// loadQueries reads every named statement. Comment lines belong to the reader of the file and are left out.
func loadQueries(files fs.FS) (queries, error) {
	q := queries{}
	names, err := fs.Glob(files, "queries/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list query files: %w", err)
	}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if err := q.parse(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return q, nil
}

func (q queries) parse(text string) error {
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := nameLine.FindStringSubmatch(line); m != nil {
			name = m[1]
			if _, twice := q[name]; twice {
				return fmt.Errorf("statement %q stands twice", name)
			}
			q[name] = ""
			continue
		}
		if strings.HasPrefix(line, "-- name:") {
			return fmt.Errorf("not a name: %s", line)
		}
		if strings.HasPrefix(line, "--") || strings.TrimSpace(line) == "" {
			continue
		}
		if name == "" {
			return fmt.Errorf("statement without a name: %s", line)
		}
		q[name] += line + "\n"
	}
	for name, text := range q {
		if text == "" {
			return fmt.Errorf("statement %q is empty", name)
		}
	}
	return nil
}

// statements are the named queries of one database. Their text is made when it is needed: a copy for each of a thousand
// databases would be most of what the program holds in memory.
type statements struct {
	queries  queries
	database string // quoted
	older    *atomic.Bool
}

func (q queries) of(database string) statements { return statements{q, database, &atomic.Bool{}} }

// text returns the statement called name. The name of a part stands for its text; a line that begins with {4}, of a bucket
// with {2}, is left out where the tables are older than that step.
func (s statements) text(name string) string {
	text := s.queries[name]
	if strings.Contains(text, "{part-") {
		for _, part := range []string{"part-row", "part-message-id"} {
			text = strings.Replace(text, "{"+part+"}", strings.TrimSpace(s.queries[part]), 1)
		}
	}
	if strings.Contains(text, "\n{") {
		text = fitted(text, s.older.Load())
	}
	return strings.ReplaceAll(text, "{db}", s.database)
}

// fitted is the text with the lines of the newest step, or without.
func fitted(text string, older bool) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if newer, marked := cutMark(line); !marked {
			b.WriteString(line)
		} else if !older {
			b.WriteString(newer)
		}
	}
	return b.String()
}

func cutMark(line string) (rest string, marked bool) {
	if rest, marked = strings.CutPrefix(line, "{4}"); marked {
		return rest, true
	}
	return strings.CutPrefix(line, "{2}")
}

// list returns the statement called name with {ids} and {pairs} made into n placeholders and n pairs of placeholders.
func (s statements) list(name string, n int) string {
	text := strings.Replace(s.text(name), "{ids}", repeat("?", n), 1)
	return strings.Replace(text, "{pairs}", repeat("(?, ?)", n), 1)
}

// rows returns the statement called name with {rows} made into n rows of the given placeholders.
func (s statements) rows(name string, n int, row string) string {
	return strings.Replace(s.text(name), "{rows}", repeat(row, n), 1)
}

func repeat(item string, n int) string {
	return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ")
}

var identifier = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,64}$`)

// quote returns the quoted name of a database. Names with other characters than A-Z a-z 0-9 _ $ - are refused.
func quote(database string) (string, error) {
	if !identifier.MatchString(database) {
		return "", fmt.Errorf("database name %q: only letters, digits, _, $ and - are allowed", database)
	}
	return "`" + database + "`", nil
}
