package jobs

// The mail log: one named event for each thing that happens to a mail, an account or a company, as the message of a log
// line. Operators count on these names; docs/operations.md lists them with their fields. Those of alerts and of
// the fence stand in their packages.
const (
	eventSent       = "sent"       // accepted for every recipient
	eventPartial    = "partial"    // accepted for some recipients, refused for good for the others
	eventFailed     = "failed"     // refused for good, given up, or not a mail at all
	eventDeferred   = "deferred"   // refused for now; wait says for how long
	eventUncertain  = "uncertain"  // the dot may have gone and no reply came
	eventExpired    = "expired"    // expires_at was over
	eventSkipped    = "skipped"    // its dedupe_key is used up by a mail of before, or its query found nothing
	eventSuppressed = "suppressed" // the company's list says that its recipients get no mail
	eventGivenBack  = "given_back" // not tried: the account fell ill, lost its slot, its content could not be read yet, or outboxd stops
	eventLeaseLost  = "lease_lost" // somebody else has the row by now; nothing was written
	eventUnsettled  = "unsettled"  // the server refuses the outcome; the lease runs out and the mark decides
	eventRescued    = "rescued"    // rows that a dead daemon left behind

	eventSurplusHeld = "surplus_held" // more rows arrived than hold_above allows

	eventAccountPaused    = "account_paused"    // the account is in trouble and waits
	eventOverflow         = "overflow"          // another account sends this one's mail, as overflow allows
	eventOverflowOver     = "overflow_over"     // the account is able again
	eventSignInFailed     = "sign_in_failed"    // an account that signs in by OAuth has no token: it waits in this daemon alone
	eventAccountUnusable  = "account_unusable"  // its secret or its certificates cannot be read
	eventKeyUnusable      = "key_unusable"      // a domain's mails cannot be signed, and wait
	eventAccountWell      = "account_well"      // the account sends again
	eventAccountSlowed    = "account_slowed"    // its server throttles: all daemons send less by it
	eventAccountRecovered = "account_recovered" // it may send as much as its limits allow again
	eventAccountHeld      = "account_held"      // a person has paused it
	eventAccountResumed   = "account_resumed"   // a person, or the end of that pause, lets it send again
	eventDomainPaused     = "domain_paused"     // a recipient domain throttles; its rows wait in a lane
	eventCompanyDown      = "company_down"      // the company's database cannot be used
	eventCompanyUp        = "company_up"        // the company's database works
	eventReaderDown       = "reader_down"       // the user that runs the company's queries cannot be used: rows that need one wait
	eventReaderUp         = "reader_up"
	eventFilesDown        = "files_down" // the company's attachments folder cannot be used: rows that name a file wait
	eventFilesUp          = "files_up"
	eventSpoolDown        = "spool_down" // there is no room on this computer to keep an audience in: its run waits
	eventSpoolUp          = "spool_up"
	eventAltered          = "tables_altered" // somebody has altered the company's tables
	eventCompanyOut       = "company_left_out"
	eventDiverts          = "diverts"      // every mail of the company goes to its divert address
	eventControlDown      = "control_down" // the control database cannot be asked for the limits
	eventControlUp        = "control_up"
	eventJobElsewhere     = "job_elsewhere" // the job is bound to another computer
	eventRunStarted       = "run_started"   // of a job with a schedule
	eventRunDone          = "run_done"
	eventRunFailed        = "run_failed"
	eventRunLaidDown      = "run_laid_down" // outboxd stops, or has a new jobs.yaml: whoever comes next goes on with it
	eventRunLeftOut       = "run_left_out"  // a time was missed, and is not made up for
	eventRunAsked         = "run_asked"     // a time was missed, and a person decides
	eventRunEnqueued      = "run_enqueued"  // every row of the audience is in the outbox
	eventRunHeld          = "run_held"      // it waits for an approval
	eventRunApproved      = "run_approved"  // a person lets it go
	eventApprovalRefused  = "approval_refused"
	eventRunDecided       = "run_decided"  // nobody approved it in time: it went, or was cancelled, as its job says
	eventRunReleased      = "run_released" // mails may go
	eventRunCanary        = "run_canary"   // its first mails did well: the others follow
	eventRunStopped       = "run_stopped"  // too many of its first mails were refused
	eventRunRefound       = "run_refound"  // mails of it that somebody has deleted from outbox_run_mail stand in the outbox, and are noted again
	eventRunClosed        = "run_closed"   // each row of its audience has its end
	eventWriteBack        = "write_back"   // on_sent or on_failed of a run fails: it is tried again
	eventWriteBackOver    = "write_back_over"
	eventReloaded         = "reloaded"
	eventReloadFailed     = "reload_refused"
	eventStarted          = "started"
	eventStopping         = "stopping"
	eventStopped          = "stopped"
	eventStoreError       = "store_error"   // a statement failed; what it was for is tried again
	eventSessionClose     = "session_close" // debug: a session ended less than politely
)
