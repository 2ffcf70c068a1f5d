package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// writeVerbs are the words that a write-back begins with. None of them ends the transaction that it is part of.
var writeVerbs = []string{"UPDATE", "INSERT", "DELETE", "REPLACE"}

// checkWriteBack returns a *ReadError unless the text is exactly one UPDATE, INSERT, DELETE or REPLACE. Its parameters are not
// looked at.
func checkWriteBack(statement string) error {
	return checkOne(statement, func(t token, word string) error {
		if !slices.Contains(writeVerbs, word) {
			return refused("it begins with %s: a write-back is one %s", cut(t.text, 40), strings.Join(writeVerbs[:3], ", ")+" or "+writeVerbs[3])
		}
		return nil
	})
}

// checkOne returns a *ReadError unless the text is one statement, with a semicolon at its end or none, whose first word is let
// pass.
func checkOne(statement string, first func(t token, word string) error) error {
	all, err := tokens(statement)
	if err != nil {
		return err
	}
	begun, ended := false, false
	for i, t := range all {
		switch {
		case t.kind == spaceToken:
		case ended:
			return refused("after the semicolon stands a second statement: give one")
		case t.kind == codeToken:
			return refused("it contains a comment that is executed (%s): write a plain one", cut(t.text, 40))
		case t.kind == signToken && t.text == ";" && begun:
			ended = true
		case !begun:
			begun = true
			if err := first(t, keyword(all[:i], t)); err != nil {
				return err
			}
		}
	}
	if !begun {
		return refused("there is no statement")
	}
	return nil
}

var writeRemedies = map[uint16]string{
	lockTimeout:     "another transaction holds what it writes: information_schema.INNODB_TRX shows which",
	timeOverMariaDB: "the table is locked, SHOW PROCESSLIST shows by whom, or the column of its WHERE has no index",
	1054:            "the columns are those of the company's database, as SHOW COLUMNS lists them",
	1146:            "the tables are those of the company's database, as SHOW TABLES lists them",
	1064:            "mend the SQL in jobs.yaml for the next run; what waits is given up by deleting its row of outbox_writeback",
	1044:            "GRANT it to outboxd's user",
	1142:            "GRANT it to outboxd's user",
	1143:            "GRANT it to outboxd's user",
	1370:            "GRANT EXECUTE on it to outboxd's user",
}

// writeBackText says why a write-back was not done, and what helps. In any case it is tried again.
func writeBackText(err error) string {
	var my *mysql.MySQLError
	var own *ReadError
	switch {
	case errors.As(err, &my):
		remedy := writeRemedies[my.Number]
		if remedy == "" {
			remedy = "try the statement in a client of the database"
		}
		return fmt.Sprintf("error %d: %s; %s; it is tried again by itself", my.Number, my.Message, remedy)
	case errors.As(err, &own):
		return own.Text + "; mend the statement in jobs.yaml for the next run; what waits is given up by deleting its row of outbox_writeback"
	case heldUp(err):
		return "it took too long; " + writeRemedies[timeOverMariaDB] + "; it is tried again by itself"
	}
	return err.Error() + "; it is tried again by itself"
}
