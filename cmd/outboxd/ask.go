package main

import (
	"context"
	"errors"
	"fmt"

	"outboxd/control"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

// operation is something that the desk does, by the name that it has on the control socket.
type operation[Q, R any] struct {
	name string
	do   func(*jobs.Desk, context.Context, Q) (R, error)
}

var (
	opStatus             = operation[jobs.StatusRequest, jobs.StatusReply]{"status", (*jobs.Desk).Status}
	opQueueList          = operation[jobs.QueueListRequest, jobs.QueueListReply]{"queue/list", (*jobs.Desk).QueueList}
	opQueueShow          = operation[jobs.RowRequest, jobs.QueueShowReply]{"queue/show", (*jobs.Desk).QueueShow}
	opQueueWhy           = operation[jobs.RowRequest, jobs.QueueWhyReply]{"queue/why", (*jobs.Desk).QueueWhy}
	opQueueRetry         = operation[jobs.ChangeRequest, jobs.ChangeReply]{"queue/retry", (*jobs.Desk).QueueRetry}
	opQueueSettle        = operation[jobs.SettleRequest, jobs.ChangeReply]{"queue/settle", (*jobs.Desk).QueueSettle}
	opQueueHold          = operation[jobs.ChangeRequest, jobs.ChangeReply]{"queue/hold", (*jobs.Desk).QueueHold}
	opQueueRelease       = operation[jobs.ChangeRequest, jobs.ChangeReply]{"queue/release", (*jobs.Desk).QueueRelease}
	opQueueCancel        = operation[jobs.ChangeRequest, jobs.ChangeReply]{"queue/cancel", (*jobs.Desk).QueueCancel}
	opAccountList        = operation[jobs.AccountListRequest, jobs.AccountListReply]{"account/list", (*jobs.Desk).AccountList}
	opAccountTest        = operation[jobs.AccountTestRequest, jobs.AccountTestReply]{"account/test", (*jobs.Desk).AccountTest}
	opAccountLogin       = operation[jobs.AccountLoginRequest, jobs.AccountLoginReply]{"account/login", (*jobs.Desk).AccountLogin}
	opAccountLoginFinish = operation[jobs.AccountLoginFinishRequest, jobs.AccountLoginFinishReply]{"account/login/finish", (*jobs.Desk).AccountLoginFinish}
	opAccountPause       = operation[jobs.AccountPauseRequest, jobs.AccountChangeReply]{"account/pause", (*jobs.Desk).AccountPause}
	opAccountResume      = operation[jobs.AccountResumeRequest, jobs.AccountChangeReply]{"account/resume", (*jobs.Desk).AccountResume}
	opMessagePreview     = operation[jobs.PreviewRequest, jobs.PreviewReply]{"message/preview", (*jobs.Desk).Preview}
	opMailingList        = operation[jobs.MailingListRequest, jobs.MailingListReply]{"mailing/list", (*jobs.Desk).MailingList}
	opMailingPlan        = operation[jobs.MailingPlanRequest, jobs.MailingPlanReply]{"mailing/plan", (*jobs.Desk).MailingPlan}
	opMailingStart       = operation[jobs.MailingStartRequest, jobs.MailingStartReply]{"mailing/start", (*jobs.Desk).MailingStart}
	opMailingApprove     = operation[jobs.MailingApproveRequest, jobs.RunInfo]{"mailing/approve", (*jobs.Desk).MailingApprove}
	opMailingStop        = operation[jobs.MailingStopRequest, jobs.RunInfo]{"mailing/stop", (*jobs.Desk).MailingStop}
	opMailingResume      = operation[jobs.MailingResumeRequest, jobs.RunInfo]{"mailing/resume", (*jobs.Desk).MailingResume}
	opMailingReport      = operation[jobs.MailingReportRequest, jobs.MailingReportReply]{"mailing/report", (*jobs.Desk).MailingReport}
	opAdopt              = operation[jobs.AdoptRequest, jobs.AdoptReply]{"adopt", (*jobs.Desk).Adopt}
	opAudit              = operation[jobs.AuditRequest, jobs.AuditReply]{"audit", (*jobs.Desk).Audit}
)

// operations is all that the daemon answers.
var operations = []interface {
	serve(s *control.Server, desk func() *jobs.Desk)
}{opStatus, opQueueList, opQueueShow, opQueueWhy, opQueueRetry, opQueueSettle, opQueueHold, opQueueRelease, opQueueCancel, opAccountList, opAccountTest, opAccountLogin, opAccountLoginFinish, opAccountPause, opAccountResume, opMessagePreview, opMailingList, opMailingPlan, opMailingStart, opMailingApprove, opMailingStop,
	opMailingResume, opMailingReport, opAdopt, opAudit}

// serve answers the operation by the desk of the moment: a reload brings a new one.
func (o operation[Q, R]) serve(s *control.Server, desk func() *jobs.Desk) {
	control.Handle(s, o.name, func(ctx context.Context, q Q) (R, error) { return o.do(desk(), ctx, q) })
}

// ask has the running daemon do the operation, or does it on the databases when none runs.
func ask[Q, R any](i *invocation, o operation[Q, R], q Q) (R, error) {
	var nothing R
	folder, err := i.folder()
	if err != nil {
		return nothing, err
	}
	client, err := control.Dial(i.ctx, folder, version)
	var none *control.NoDaemonError
	if errors.As(err, &none) {
		return askDirectly(i, o, q, none)
	}
	if err != nil {
		return nothing, err
	}
	defer client.Close()
	if v := client.DaemonVersion(); v != version && !i.told {
		i.told = true
		fmt.Fprintf(i.stderr, "The daemon is of version %s, this program of %s: restart the daemon when it suits.\n", clean(v), version)
	}
	return control.Call[Q, R](i.ctx, client, o.name, q)
}

func askDirectly[Q, R any](i *invocation, o operation[Q, R], q Q, none *control.NoDaemonError) (reply R, err error) {
	file, problems := jobfile.Load(i.config)
	if file == nil {
		fmt.Fprintf(i.stderr, "%s, and without one %s would have to be read:\n%s\n", cleanLines(none.Error()), clean(i.config), cleanLines(problems.Errors().String()))
		fmt.Fprintln(i.stderr, "What to do: start the daemon (systemctl start outboxd), or name a jobs.yaml that this user may read (--config FILE)")
		return reply, exitError(exitWrong)
	}
	world, err := jobs.Open(file)
	if err != nil {
		return reply, &jobs.AskError{Text: fmt.Sprintf("%v, and its databases cannot be asked directly: %v", none, err), Err: err,
			Hint: "start the daemon (systemctl start outboxd), or ask as a user who may read the secrets (sudo -u outboxd outboxd ...)"}
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	i.alone = true
	if !i.told {
		i.told = true
		fmt.Fprintf(i.stderr, "No daemon is running (%s); the databases are asked directly.\n", clean(none.Socket))
	}
	if a, ok := any(&q).(control.Actor); ok {
		a.SetActor(control.Self())
	}
	state, err := i.remembered()
	if err != nil {
		return reply, err
	}
	return o.do(jobs.NewDesk(world, nil, state), i.ctx, q)
}
