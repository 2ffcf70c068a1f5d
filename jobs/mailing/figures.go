package mailing

import "time"

// Figures say who would get what: a plan, and the proof of a run, show the same.
type Figures struct {
	Audience   int64          `json:"audience"`           // rows
	Previous   *int64         `json:"previous,omitempty"` // rows of the run before it
	Sendable   int64          `json:"sendable"`
	NoAddress  int64          `json:"no_address"`
	BadAddress int64          `json:"bad_address"`
	Unusable   int64          `json:"unusable"` // rows that cannot be mailed for another reason: a key that is NULL, bytes that are no text
	Suppressed int64          `json:"suppressed"`
	Duplicate  int64          `json:"duplicate"`          // rows whose key stands in an earlier one
	Already    int64          `json:"already"`            // rows whose key was mailed in this period
	Troubles   []Trouble      `json:"troubles,omitempty"` // the first ones
	Accounts   []AccountShare `json:"accounts,omitempty"`
	Finish     *time.Time     `json:"finish,omitempty"` // when the last mail would have gone
	FinishNote string         `json:"finish_note,omitempty"`
}

// Trouble is a row of an audience that would not be mailed.
type Trouble struct {
	Line    int64  `json:"line"`
	Key     string `json:"key,omitempty"`
	Address string `json:"address,omitempty"`
	Reason  string `json:"reason"`
}

// AccountShare is how many mails an account would send.
type AccountShare struct {
	Account string `json:"account"`
	Mails   int64  `json:"mails"`
}
