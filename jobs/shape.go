package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"outboxd/db"
)

// shape is what is known of alterations of a company's tables.
type shape struct {
	mu     sync.Mutex
	stops  *db.ShapeError // with which nothing can be sent
	faults string         // with which the work goes on, and their remedies
}

// told is what a person should know although the work goes on.
func (s *shape) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// shapeEvery is how many rounds of chores pass until the tables are looked at again though nothing fails: an index that is
// gone, or a rule, makes no statement fail.
const shapeEvery = 10

// altered returns an error while the tables are altered so that nothing can be sent.
func (c *company) altered() error {
	c.shape.mu.Lock()
	defer c.shape.mu.Unlock()
	if c.shape.stops == nil {
		return nil
	}
	return c.shape.stops
}

// checkShape compares the tables with what the program wants, and tells of what is other.
func (c *company) checkShape(ctx context.Context) error {
	faults, err := c.place.Pool.Examine(ctx, c.place.Store.Database(), db.CompanyPart, db.BucketPart)
	var stops *db.ShapeError
	if err != nil && !errors.As(err, &stops) {
		return err
	}
	text := faultsText(faults)
	s := &c.shape
	s.mu.Lock()
	news := s.faults != text
	worse := stops != nil && (s.stops == nil || s.stops.Error() != stops.Error())
	s.faults, s.stops = text, stops
	s.mu.Unlock()
	if worse {
		c.log.Error(eventAltered, zap.String("fault", stops.Error()), zap.String("remedy", stops.Remedy()))
	}
	key := "altered " + c.name
	switch {
	case text == "":
		c.e.alerts.End(key, fmt.Sprintf("company %s: its tables are as they were made again", c.name))
	case news:
		c.log.Warn(eventAltered, zap.String("fault", text))
	}
	if text != "" {
		c.e.alerts.Start(key, fmt.Sprintf("company %s: its tables were altered", c.name),
			fmt.Sprintf("The tables of company %s in database %s are not as outboxd made them. Its mail goes on, but this should be mended:\n\n%s", c.name, c.place.Store.Database(), text))
	}
	return err
}

// lookAtShape looks at the tables when it is their turn, and at once where statements fail as they do on altered tables, until these
// are mended. Tables of a newer step are no fault of a company at work: steps only add.
func (c *company) lookAtShape(ctx context.Context, turn bool) {
	if !turn && db.Kind(c.outage.failing()) != db.KindSetup && c.altered() == nil {
		return
	}
	was, failing := c.altered(), c.outage.failing()
	err := c.checkShape(ctx)
	var schema *db.SchemaError
	switch {
	case err == nil && (was != nil || !db.Denied(failing)):
		c.outage.trust()
	case err != nil && !errors.As(err, &schema):
		c.report(err)
	}
}

// faultsText is each fault with its remedy on a line below.
func faultsText(faults []db.Fault) string {
	var lines []string
	for _, f := range faults {
		lines = append(lines, fmt.Sprintf("%s\n    %s", f.Text, f.Remedy))
	}
	return strings.Join(lines, "\n")
}
