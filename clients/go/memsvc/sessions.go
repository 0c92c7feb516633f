package memsvc

import (
	"context"
	"iter"
	"time"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// AppendOptions are those of User.AppendRun.
type AppendOptions struct {
	// RunID is the caller's, or made by the server. One that is taken is AlreadyExists.
	RunID string
	// Wait is how long to wait until the run is learned from; 0: not at all. See Learning in the receipt.
	Wait time.Duration
	// LearningMode overrides what is configured.
	LearningMode LearningMode
	// ReplacesRunID names the run that this one replaces: regenerate, edit.
	ReplacesRunID string
	// KeepAll stores all messages as they are, also those that the session holds already.
	KeepAll bool
	// ContextMemoryIDs are the memories that the model saw.
	ContextMemoryIDs []string
	Metadata         map[string]string
	// Settings overrule what is configured, for this run.
	Settings *Settings
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// AppendRun stores one exchange of a conversation; it is learned from in the background.
//
// The messages may be those of this turn, or all of the conversation, as agents keep them: system messages, and the beginning
// that the session holds already, are not stored again. Where nothing is new the receipt is that of the last run.
func (u *User) AppendRun(
	ctx context.Context, sessionID string, messages []*Message, options *AppendOptions,
) (*RunReceipt, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.sessions.AppendRun(ctx, &memsvcv1.AppendRunRequest{
		Scope: u.scope(),
		Run: &Run{
			SessionId:        sessionID,
			RunId:            options.RunID,
			Messages:         messages,
			AgentId:          u.agent,
			TeamId:           u.team,
			ReplacesRunId:    options.ReplacesRunID,
			ContextMemoryIds: options.ContextMemoryIDs,
			Metadata:         options.Metadata,
		},
		LearningMode:    options.LearningMode,
		WaitForLearning: wait(options.Wait),
		SkipStored:      !options.KeepAll,
		Settings:        options.Settings,
		RequestId:       options.RequestID,
	})
}

// HistoryOptions are those of User.History.
type HistoryOptions struct {
	// LastRuns is how many runs, counted from the last: 10 by default.
	LastRuns int32
	// Roles are all by default. A tool's call and its result come together.
	Roles []Role
}

// History gets the messages of a session's last runs, oldest first.
func (u *User) History(ctx context.Context, sessionID string, options *HistoryOptions) (*History, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.sessions.GetHistory(ctx, &memsvcv1.GetHistoryRequest{
		Scope: u.scope(), SessionId: sessionID, LastRuns: options.LastRuns, Roles: options.Roles,
	})
}

// SearchHistoryOptions are those of User.SearchHistory.
type SearchHistoryOptions struct {
	// Limit is 10 by default, 100 at most.
	Limit int32
	// MinScore, 0 to 1, leaves out what is less sure.
	MinScore   float64
	SessionIDs []string
	AgentIDs   []string
	Roles      []Role
	Time       *TimeRange
	// BesideCount, at most 10, brings along what was said just before and after.
	BesideCount int32
	Consistency *Consistency
}

// SearchHistory finds what was said in past conversations, best first.
func (u *User) SearchHistory(
	ctx context.Context, query string, options *SearchHistoryOptions,
) (*HistoryPassages, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.sessions.SearchHistory(ctx, &memsvcv1.SearchHistoryRequest{
		Scope:       u.scope(),
		Query:       query,
		TopK:        options.Limit,
		MinScore:    options.MinScore,
		SessionIds:  options.SessionIDs,
		AgentIds:    options.AgentIDs,
		Roles:       options.Roles,
		Time:        options.Time,
		BesideCount: options.BesideCount,
		Consistency: options.Consistency,
	})
}

// RunsOptions are those of User.Runs.
type RunsOptions struct {
	// SessionID is of which session; empty: of all.
	SessionID string
	// Descending is newest first.
	Descending bool
	// IncludeReplaced lists runs too that were replaced.
	IncludeReplaced bool
}

// Runs lists the runs of a session, or of all, oldest first by default.
func (u *User) Runs(ctx context.Context, options *RunsOptions) iter.Seq2[*Run, error] {
	options = or(options)
	request := &memsvcv1.ListRunsRequest{
		Scope:           u.scope(),
		SessionId:       options.SessionID,
		Descending:      options.Descending,
		IncludeReplaced: options.IncludeReplaced,
	}
	return pages(ctx, u.check(), request, u.client.rpc.sessions.ListRuns, (*memsvcv1.ListRunsResponse).GetRuns)
}

// Session gets one session.
func (u *User) Session(ctx context.Context, sessionID string) (*Session, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	request := &memsvcv1.GetSessionRequest{Scope: u.scope(), SessionId: sessionID}
	reply, err := u.client.rpc.sessions.GetSession(ctx, request)
	return reply.GetSession(), err
}

// Sessions lists the user's sessions, last used first.
func (u *User) Sessions(ctx context.Context) iter.Seq2[*Session, error] {
	request := &memsvcv1.ListSessionsRequest{Scope: u.scope()}
	list := u.client.rpc.sessions.ListSessions
	return pages(ctx, u.check(), request, list, (*memsvcv1.ListSessionsResponse).GetSessions)
}

// SummarizeOptions are those of User.Summarize.
type SummarizeOptions struct {
	// Wait is how long to wait until it is summarized; 0: not at all.
	Wait time.Duration
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Summarize brings a session's summary up to date, and returns it as it is then.
func (u *User) Summarize(ctx context.Context, sessionID string, options *SummarizeOptions) (*Summarized, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.sessions.SummarizeSession(ctx, &memsvcv1.SummarizeSessionRequest{
		Scope:          u.scope(),
		SessionId:      sessionID,
		WaitForSummary: wait(options.Wait),
		RequestId:      options.RequestID,
	})
}

// DeleteSessionOptions are those of User.DeleteSession.
type DeleteSessionOptions struct {
	// ForgetLearned also deletes the memories that were learned from it.
	ForgetLearned bool
	// Purge, with ForgetLearned, blanks their text in the history too.
	Purge bool
	// AllowMissing succeeds where the session does not exist.
	AllowMissing bool
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// DeleteSession deletes a session with its runs. What was learned from it stays, unless asked otherwise.
func (u *User) DeleteSession(
	ctx context.Context, sessionID string, options *DeleteSessionOptions,
) (*DeletedSession, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.sessions.DeleteSession(ctx, &memsvcv1.DeleteSessionRequest{
		Scope:         u.scope(),
		SessionId:     sessionID,
		ForgetLearned: options.ForgetLearned,
		Purge:         options.Purge,
		AllowMissing:  options.AllowMissing,
		RequestId:     options.RequestID,
	})
}
