package jobs

import (
	"outboxd/jobs/fence"
	"outboxd/jobs/witness"
)

// newFence makes the fence of a company whose work begins.
func (e *Engine) newFence(c *company) *fence.Fence {
	return fence.New(e.world.witnessed(c.place, e.witness), fence.Options{Doubt: e.doubt, Log: c.log, Key: fenceKey(c.name), Alerts: e.alerts,
		Report: c.report, Settle: c.settle})
}

func fenceKey(company string) string { return "fence " + company }

// witnessed is a company with all that knows of its database.
func (w *World) witnessed(p *Place, memory *witness.Folder) fence.Company {
	c := fence.Company{Name: p.Company.Name, Store: p.Store, Control: w.Control, Memory: memory.Company(p.Company.Name), Instance: memory.Instance()}
	for _, host := range w.File.Server(p.Company.Server).Addresses() {
		c.Reached = append(c.Reached, host+"/"+p.Company.Database)
	}
	return c
}
