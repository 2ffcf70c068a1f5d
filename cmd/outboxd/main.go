// Command outboxd sends what stands in the outbox tables of companies' databases, and answers for it.
//
// run is the daemon. The other commands ask the running daemon through its control socket; where none runs they ask the
// databases themselves, if this user may read the secrets. Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"outboxd/control"
	"outboxd/jobs"
)

// version is set when the program is linked: -ldflags "-X main.version=1.2.3".
var version = "development"

const (
	exitDone   = 0
	exitFailed = 1
	exitWrong  = 2
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], outside{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Getenv, now: time.Now}))
}

// outside is what a command gets from the world around it.
type outside struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(name string) string
	now            func() time.Time
	signals        <-chan os.Signal // nil: those of the process
	resolver       string           // of the DNS, HOST:PORT; "": the system's
}

// commands is the command line.
type commands struct {
	Config string `help:"The jobs.yaml to work with (${default})." default:"/etc/outboxd/jobs.yaml" placeholder:"FILE"`

	Run     runCommand     `cmd:"" help:"Send: the daemon. SIGHUP reloads jobs.yaml, SIGTERM drains and ends, a second one ends at once."`
	Check   checkCommand   `cmd:"" help:"Report every problem of jobs.yaml and its includes."`
	Migrate migrateCommand `cmd:"" help:"Make or update the tables in every database."`
	Version versionCommand `cmd:"" help:"Print the version."`
	Status  statusCommand  `cmd:"" help:"Show where every company and account stands."`
	Queue   struct {
		List    queueListCommand    `cmd:"" help:"Find rows, the newest first."`
		Show    queueShowCommand    `cmd:"" help:"Show all that is known about a row, but for its bodies."`
		Why     queueWhyCommand     `cmd:"" help:"Tell what a row waits for, or what became of it."`
		Retry   queueRetryCommand   `cmd:"" help:"Queue rows again, to go at once."`
		Settle  queueSettleCommand  `cmd:"" help:"Say what became of uncertain rows."`
		Hold    queueHoldCommand    `cmd:"" help:"Keep queued rows back."`
		Release queueReleaseCommand `cmd:"" help:"Let held rows go."`
		Cancel  queueCancelCommand  `cmd:"" help:"End queued rows unsent."`
	} `cmd:"" help:"Look at rows and change them. A row is named acme/17, or 17 where there is one company."`
	Account struct {
		List   accountListCommand   `cmd:"" help:"Show the accounts: how they are set and how they do."`
		Login  accountLoginCommand  `cmd:"" help:"Sign in to an account by OAuth, in a browser on any computer."`
		Test   accountTestCommand   `cmd:"" help:"Connect and log in to an account; with --to also send a mail."`
		Pause  accountPauseCommand  `cmd:"" help:"Send nothing by an account until it is resumed, on every computer and over restarts."`
		Resume accountResumeCommand `cmd:"" help:"Let an account send again that was paused by hand, or try one in trouble at once."`
	} `cmd:"" help:"Look at SMTP accounts, sign in to them, test and pause them."`
	DKIM struct {
		Keygen dkimKeygenCommand `cmd:"" help:"Make a key that signs mails, and say what belongs into the DNS and into jobs.yaml."`
	} `cmd:"" name:"dkim" help:"Make keys that sign mails."`
	Message struct {
		Preview messagePreviewCommand `cmd:"" help:"Write a row's message, or a template's, as it would be sent: the .eml, and a page for the browser."`
	} `cmd:"" help:"Look at messages before they are sent."`
	Mailing struct {
		List    mailingListCommand    `cmd:"" help:"Show runs of mailings and reports, the newest first: how far they are and what they wait for."`
		Plan    mailingPlanCommand    `cmd:"" help:"Show what a mailing would do, and change nothing: when, to whom, who would not get it, three samples."`
		Start   mailingStartCommand   `cmd:"" help:"Start a mailing to an audience now, or a run of a job."`
		Approve mailingApproveCommand `cmd:"" help:"Let a run go that waits for approval."`
		Stop    mailingStopCommand    `cmd:"" help:"Have a run send nothing more, for now or with --cancel for good."`
		Resume  mailingResumeCommand  `cmd:"" help:"Have a stopped run go on, or one begin that waits to be told."`
		Report  mailingReportCommand  `cmd:"" help:"Show what became of every mail of a run, as it is now."`
	} `cmd:"" help:"Recurring mailings and mailings to an audience. A run is named acme/12, or 12 where there is one company."`
	Adopt adoptCommand `cmd:"" help:"Let a restored or copied database be the company's own: mark what was sent, hold the rest."`
	Audit auditCommand `cmd:"" help:"Show who did what, the newest first."`
}

// run does one command and returns the exit status.
func run(ctx context.Context, args []string, o outside) int {
	var c commands
	helped := false
	parser, err := kong.New(&c, kong.Name("outboxd"), kong.Writers(o.stdout, o.stderr), kong.Exit(func(int) { helped = true }),
		kong.Description("Sends the mails that stand in the outbox tables of companies' databases, and answers for them."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(o.stderr, "outboxd:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if helped {
		return exitDone
	}
	if err != nil {
		fmt.Fprintf(o.stderr, "outboxd: %s\nSee outboxd --help.\n", clean(err.Error()))
		return exitWrong
	}
	i := &invocation{outside: o, ctx: ctx, config: c.Config}
	defer i.forget()
	return i.exit(parsed.Run(i))
}

// invocation is one run of a command.
type invocation struct {
	outside
	ctx    context.Context
	config string
	told   bool // that no daemon runs, or that it is of another version
	alone  bool // no daemon runs: the databases were asked directly

	opening sync.Mutex
	memory  *jobs.State // nil until it is asked for
}

// exitError ends a command whose output has said everything.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usageError is a wrong command line that only the command could see.
type usageError struct{ text, hint string }

func (e *usageError) Error() string     { return e.text }
func (e *usageError) ErrorHint() string { return e.hint }
func (e *usageError) WrongUsage() bool  { return true }

// tell tells a person what went wrong and what to do.
func (i *invocation) tell(err error) {
	fmt.Fprintln(i.stderr, "outboxd:", cleanLines(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintln(i.stderr, "What to do:", cleanLines(hint))
	}
}

// hintOf is what an error says to do about it; "" where it does not know.
func hintOf(err error) string {
	if hinter, ok := errors.AsType[control.Hinter](err); ok {
		return hinter.ErrorHint()
	}
	return ""
}

// exit tells a person what went wrong and what to do, and makes the exit status of it.
func (i *invocation) exit(err error) int {
	var coded exitError
	if err == nil {
		return exitDone
	}
	if errors.As(err, &coded) {
		return int(coded)
	}
	i.tell(err)
	var misuse control.Misuse
	if errors.As(err, &misuse) && misuse.WrongUsage() {
		return exitWrong
	}
	return exitFailed
}

// state is where the daemon remembers what a restored database has forgotten: the folder that systemd gives it, else the runtime
// folder that was set, else the system's usual place.
func (i *invocation) state() (string, error) {
	folder, _, _ := strings.Cut(i.env("STATE_DIRECTORY"), ":") // systemd.exec(5)
	if folder == "" {
		folder = i.env("OUTBOXD_RUNTIME")
	}
	if folder == "" {
		folder = usualState(runtime.GOOS, i.env)
	}
	return filepath.Abs(folder)
}

func usualState(system string, env func(string) string) string {
	switch system {
	case "windows":
		return filepath.Join(env("ProgramData"), "outboxd", "state")
	case "darwin", "freebsd", "netbsd", "openbsd", "dragonfly":
		return "/var/db/outboxd"
	}
	return "/var/lib/outboxd"
}

// remembered opens the state directory as the daemon of this computer and runtime folder does, once.
func (i *invocation) remembered() (*jobs.State, error) {
	i.opening.Lock()
	defer i.opening.Unlock()
	if i.memory != nil {
		return i.memory, nil
	}
	state, err := i.state()
	if err != nil {
		return nil, err
	}
	name, err := i.daemonName()
	if err != nil {
		return nil, err
	}
	i.memory = jobs.OpenState(state, name)
	return i.memory, nil
}

// forget waits for what the state directory has to keep.
func (i *invocation) forget() {
	if i.memory != nil {
		i.memory.Close()
	}
}

// daemonName is the daemon's stable identity: this computer and its runtime folder.
func (i *invocation) daemonName() (string, error) {
	folder, err := i.folder()
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("ask for the computer's name: %w", err)
	}
	return host + " " + folder, nil
}

// folder is the runtime folder: where the control socket is.
func (i *invocation) folder() (string, error) {
	folder := i.env("OUTBOXD_RUNTIME")
	if folder == "" {
		folder = usualFolder(runtime.GOOS, i.env)
	}
	return filepath.Abs(folder)
}

func usualFolder(system string, env func(string) string) string {
	switch system {
	case "windows":
		return filepath.Join(env("ProgramData"), "outboxd")
	case "darwin", "freebsd", "netbsd", "openbsd", "dragonfly":
		return "/var/run/outboxd"
	}
	return "/run/outboxd"
}
