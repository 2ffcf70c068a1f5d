package mailing

import (
	"context"
	"errors"
	"slices"

	"outboxd/db"
)

const (
	maxLanguages = 20   // of which the first line is chosen
	maxEven      = 4096 // lines that are remembered to choose from
)

// choice chooses lines, whose number is not known before the last, in bounded memory.
type choice struct {
	languages map[string]bool
	first     []int64 // of each language
	even      []int64 // each step-th line, from the first
	step, n   int64
	last      int64
}

func newChoice() *choice { return &choice{languages: map[string]bool{}, step: 1} }

func (c *choice) add(line int64, language string) {
	if !c.languages[language] && len(c.first) < maxLanguages {
		c.languages[language] = true
		c.first = append(c.first, line)
	}
	if c.n%c.step == 0 {
		c.even = append(c.even, line)
	}
	c.n++
	c.last = line
	if len(c.even) == maxEven { // from here on every other one
		for i := range maxEven / 2 {
			c.even[i] = c.even[2*i]
		}
		c.even = c.even[:maxEven/2]
		c.step *= 2
	}
}

// lines are so many in order: the first of each language, however many those are, and others at even distances, the last before the rest.
func (c *choice) lines(n int) []int64 {
	chosen := slices.Clone(c.first)
	for i := n - 1; i >= 0 && len(chosen) < n && len(c.even) > 0; i-- {
		line := c.last
		if i < n-1 || n == 1 {
			line = c.even[i*(len(c.even)-1)/max(1, n-1)]
		}
		if !slices.Contains(chosen, line) {
			chosen = append(chosen, line)
		}
	}
	slices.Sort(chosen)
	return chosen
}

var errFound = errors.New("found")

// Lines returns the mails of lines, in the order in which they are asked for.
func (s *Spool) Lines(ctx context.Context, lines []int64) ([]db.NewMail, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	found, last := map[int64]db.NewMail{}, slices.Max(lines)
	err := s.Each(ctx, slices.Min(lines), func(line int64, m db.NewMail) error {
		if slices.Contains(lines, line) {
			found[line] = m
		}
		if line == last {
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	var all []db.NewMail
	for _, line := range lines {
		if m, ok := found[line]; ok {
			all = append(all, m)
		}
	}
	return all, nil
}
