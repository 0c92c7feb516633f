package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/memsvc/memsvc/clients/go/memsvc"
)

// reply carries out a call, by its name in the contract. Lists and streams are items.
func (e *executor) reply(ctx context.Context, asked *line) (any, error) {
	client, a := e.clients[asked.Client], &asked.Args
	user := client.User(asked.User, memsvc.Agent(asked.Agent), memsvc.Team(asked.Team))
	if which, is := strings.CutPrefix(asked.Call, "memories."); is {
		return memories(ctx, user.Memories, which, a)
	}
	switch asked.Call {
	case "serverInfo":
		return client.ServerInfo(ctx)
	case "users":
		return anything(client.Users(ctx)), nil
	case "config.get":
		return client.Config.Get(ctx, &memsvc.GetConfigOptions{AgentID: a.text("agentId")})
	case "config.update":
		return client.Config.Update(ctx, a.settings(), paths(strings.Split(a.text("updateMask"), ",")), &memsvc.UpdateConfigOptions{
			AgentID:      a.text("agentId"),
			Etag:         a.text("etag"),
			ValidateOnly: a.is("validateOnly"),
			RequestID:    a.text("requestId"),
		})
	case "topics":
		return anything(user.Topics(ctx, &memsvc.TopicsOptions{Filter: a.filter(), Consistency: a.consistency()})), nil
	case "changes":
		if a.has("memoryId") || a.has("key") {
			return anything(user.ChangesOf(ctx, a.which())), nil
		}
		return anything(user.Changes(ctx)), nil
	case "watch":
		return anything(user.Watch(ctx, &memsvc.WatchOptions{
			Filter: a.filter(), SendInitial: a.is("sendInitial"), ResumeToken: a.text("resumeToken"),
		})), nil
	case "get":
		return user.Document(ctx, &memsvc.DocumentOptions{
			Layers: enumeratedList[memsvc.Layer](a, "layers"), Consistency: a.consistency(),
		})
	case "context":
		return contextOf(ctx, user, a)
	case "extract", "learn":
		return learn(ctx, user, asked.Call, a)
	case "tools", "callTool", "runToolCalls":
		return tools(ctx, user, asked.Call, a)
	case "stats":
		return user.Stats(ctx, nil)
	case "erase":
		return user.Erase(ctx, &memsvc.EraseOptions{RequestID: a.text("requestId")})
	}
	if which, is := strings.CutPrefix(asked.Call, "extractions."); is {
		return extractions(ctx, user.Extractions, which, a)
	}
	return sessions(ctx, user, asked.Call, a)
}

func memories(ctx context.Context, m *memsvc.Memories, call string, a *args) (any, error) {
	update := &memsvc.UpdateOptions{
		Etag: a.text("etag"), ExpectedRevision: a.revision("expectedRevision"), RequestID: a.text("requestId"),
	}
	switch call {
	case "add":
		memory, err := m.Add(ctx, a.memory(), &memsvc.AddOptions{
			Duplicate: a.is("duplicate"), ExpectedRevision: update.ExpectedRevision, RequestID: update.RequestID,
		})
		return answer{"memoryId": memory.GetMemoryId()}, err
	case "get":
		return m.Get(ctx, a.which(), &memsvc.GetOptions{Consistency: a.consistency()})
	case "update":
		set := args{given: read[map[string]json.RawMessage](a, "set")}
		names := append(slices.Collect(maps.Keys(set.given)), a.texts("clear")...)
		return m.Update(ctx, a.which(), set.memory(), paths(names), update)
	case "replace":
		return m.Replace(ctx, a.text("memoryId"), a.text("text"), update)
	case "upsert":
		var value any
		memory := a.memory()
		if memory.ValueJson != "" {
			value, memory.ValueJson = json.RawMessage(memory.ValueJson), ""
		}
		return m.Upsert(ctx, memory.Layer, memory.Key, value, memory, update)
	case "delete":
		revision, err := m.Delete(ctx, a.which(), &memsvc.DeleteOptions{
			Etag:             update.Etag,
			AllowMissing:     a.is("allowMissing"),
			Purge:            a.is("purge"),
			ExpectedRevision: update.ExpectedRevision,
			RequestID:        update.RequestID,
		})
		return answer{"revision": revision}, err
	case "search":
		return m.Search(ctx, a.text("query"), &memsvc.SearchOptions{
			Method:        enumerated[memsvc.SearchMethod](a, "method"),
			Limit:         a.number("limit"),
			MinScore:      a.fraction("minScore"),
			Filter:        a.filter(),
			SharedUserIDs: a.texts("sharedUserIds"),
			Consistency:   a.consistency(),
		})
	case "list":
		return anything(m.List(ctx, &memsvc.ListOptions{
			Filter:      a.filter(),
			Order:       enumerated[memsvc.MemoryOrder](a, "order"),
			PageSize:    a.number("pageSize"),
			Consistency: a.consistency(),
		})), nil
	case "batch":
		return m.Batch(ctx, messageList[memsvc.Operation](a, "operations"), &memsvc.BatchOptions{
			ExpectedRevision: update.ExpectedRevision, RequestID: update.RequestID,
		})
	case "clear":
		cleared, err := m.Clear(ctx, &memsvc.ClearOptions{
			Filter:           a.filter(),
			All:              a.is("all"),
			Purge:            a.is("purge"),
			ValidateOnly:     a.is("validateOnly"),
			ExpectedRevision: update.ExpectedRevision,
			RequestID:        update.RequestID,
		})
		return answer{"clearedCount": cleared}, err
	case "undo":
		options := &memsvc.UndoOptions{
			ValidateOnly: a.is("validateOnly"), ExpectedRevision: update.ExpectedRevision, RequestID: update.RequestID,
		}
		if revision := a.revision("revision"); revision != nil {
			options.Revision = *revision
		}
		return m.Undo(ctx, options)
	case "restore":
		return m.Restore(ctx, *a.revision("revision"), &memsvc.RestoreOptions{
			MemoryIDs:        a.texts("memoryIds"),
			All:              a.is("all"),
			ValidateOnly:     a.is("validateOnly"),
			ExpectedRevision: update.ExpectedRevision,
			RequestID:        update.RequestID,
		})
	}
	return nil, fmt.Errorf("nothing is known of memories.%s", call)
}

func contextOf(ctx context.Context, user *memsvc.User, a *args) (any, error) {
	wrapper := a.optional("wrapper")
	return user.Context(ctx, a.text("query"), &memsvc.ContextOptions{
		Layers:        enumeratedList[memsvc.Layer](a, "layers"),
		Filter:        a.filter(),
		SharedUserIDs: a.texts("sharedUserIds"),
		History:       message[memsvc.ContextHistory](a, "history"),
		Format:        enumerated[memsvc.ContextFormat](a, "format"),
		BareBlocks:    wrapper != nil && !*wrapper,
		MaxCharacters: a.number("maxCharacters"),
		MaxTokens:     a.number("maxTokens"),
		Recall:        a.optional("recall"),
		Etag:          a.text("etag"),
		Wait:          a.seconds("waitSeconds"),
		OrEmpty:       a.optional("orEmpty"),
		Settings:      a.settings(),
		Consistency:   a.consistency(),
	})
}

func learn(ctx context.Context, user *memsvc.User, call string, a *args) (any, error) {
	source, err := a.source()
	if err != nil {
		return nil, err
	}
	options := &memsvc.ExtractOptions{
		ValidateOnly: a.is("validateOnly"), Settings: a.settings(), RequestID: a.text("requestId"),
	}
	if call == "learn" {
		return user.Learn(ctx, source, options)
	}
	return anything(user.Extract(ctx, source, options)), nil
}

func tools(ctx context.Context, user *memsvc.User, call string, a *args) (any, error) {
	options := &memsvc.CallToolOptions{
		CallID: a.text("callId"), SessionID: a.text("sessionId"), Settings: a.settings(),
	}
	switch call {
	case "tools":
		format := memsvc.ToolFormatOpenAI
		if a.has("format") {
			format = enumerated[memsvc.ToolFormat](a, "format")
		}
		definitions, err := user.Tools(ctx, format, &memsvc.ToolsOptions{Settings: options.Settings})
		return answer{"definitions": definitions}, err
	case "callTool":
		return user.CallTool(ctx, a.text("name"), a.raw("arguments"), options)
	}
	messages, err := user.RunToolCalls(ctx, a.raw("message"), options)
	return answer{"messages": messages}, err
}

func extractions(ctx context.Context, e *memsvc.Extractions, call string, a *args) (any, error) {
	id, request := a.text("extractionId"), a.text("requestId")
	switch call {
	case "get":
		return e.Get(ctx, id)
	case "cancel":
		return e.Cancel(ctx, id, &memsvc.CancelOptions{RequestID: request})
	case "retry":
		return e.Retry(ctx, a.texts("extractionIds"), &memsvc.RetryOptions{RequestID: request})
	case "list":
		return anything(e.List(ctx, &memsvc.ListExtractionsOptions{
			States: enumeratedList[memsvc.ExtractionState](a, "states"), SessionID: a.text("sessionId"),
		})), nil
	case "watch":
		return anything(e.Watch(ctx, id, a.text("resumeToken"))), nil
	}
	return nil, fmt.Errorf("nothing is known of extractions.%s", call)
}

func sessions(ctx context.Context, user *memsvc.User, call string, a *args) (any, error) {
	id := a.text("sessionId")
	switch call {
	case "appendRun":
		skips := a.optional("skipStored")
		return user.AppendRun(ctx, id, messageList[memsvc.Message](a, "messages"), &memsvc.AppendOptions{
			RunID:            a.text("runId"),
			Wait:             a.seconds("waitSeconds"),
			LearningMode:     enumerated[memsvc.LearningMode](a, "learningMode"),
			ReplacesRunID:    a.text("replacesRunId"),
			KeepAll:          skips != nil && !*skips,
			ContextMemoryIDs: a.texts("contextMemoryIds"),
			Metadata:         read[map[string]string](a, "metadata"),
			Settings:         a.settings(),
			RequestID:        a.text("requestId"),
		})
	case "history":
		return user.History(ctx, id, &memsvc.HistoryOptions{
			LastRuns: a.number("lastRuns"), Roles: enumeratedList[memsvc.Role](a, "roles"),
		})
	case "searchHistory":
		return user.SearchHistory(ctx, a.text("query"), &memsvc.SearchHistoryOptions{
			Limit:       a.number("limit"),
			MinScore:    a.fraction("minScore"),
			SessionIDs:  a.texts("sessionIds"),
			AgentIDs:    a.texts("agentIds"),
			Roles:       enumeratedList[memsvc.Role](a, "roles"),
			BesideCount: a.number("besideCount"),
		})
	case "runs":
		return anything(user.Runs(ctx, &memsvc.RunsOptions{
			SessionID: id, Descending: a.is("descending"), IncludeReplaced: a.is("includeReplaced"),
		})), nil
	case "session":
		return user.Session(ctx, id)
	case "sessions":
		return anything(user.Sessions(ctx)), nil
	case "deleteSession":
		return user.DeleteSession(ctx, id, &memsvc.DeleteSessionOptions{
			ForgetLearned: a.is("forgetLearned"),
			Purge:         a.is("purge"),
			AllowMissing:  a.is("allowMissing"),
			RequestID:     a.text("requestId"),
		})
	}
	return nil, fmt.Errorf("nothing is known of %s", call)
}
