package memsvc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/memsvc/memsvc/clients/go/memsvc"
	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

func TestWhatIsSaidIsLearnedAndShown(t *testing.T) {
	ctx, client := t.Context(), connected(t)
	sarah := client.User(t.Name(), memsvc.Agent("support"), memsvc.Team("care"))
	receipt, err := sarah.AppendRun(ctx, "s1", []*memsvc.Message{
		memsvc.UserMessage("My name is Sarah."), memsvc.AssistantMessage("Hello Sarah!"),
	}, &memsvc.AppendOptions{Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if receipt.GetLearning() != memsvc.LearningStateLearned || receipt.GetExtraction().GetState() != memsvc.ExtractionStateSucceeded {
		t.Fatalf("it was not learned from: %v", receipt)
	}
	known, err := sarah.Context(ctx, "Who am I?", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(known.String(), "name: Sarah") {
		t.Errorf("the context is %q", known)
	}
	history, err := sarah.History(ctx, "s1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if said := memsvc.Text(history.GetMessages()[1]); said != "Hello Sarah!" {
		t.Errorf("the history has %q", said)
	}
	passages, err := sarah.SearchHistory(ctx, "What is my name?", &memsvc.SearchHistoryOptions{Roles: []memsvc.Role{memsvc.RoleUser}})
	if err != nil || len(passages.GetPassages()) != 1 {
		t.Errorf("found %v, %v", passages, err)
	}
}

func TestLearningReturnsWhatWasCommitted(t *testing.T) {
	user := connected(t).User(t.Name())
	commit, err := user.Learn(t.Context(), memsvc.FromText("I live in Porto."), nil)
	if err != nil || commit.GetRevision() != 1 {
		t.Fatalf("%v, %v", commit, err)
	}
	if commit, err = user.Learn(t.Context(), memsvc.FromText("How are you?"), nil); err != nil || commit.GetRevision() != 0 {
		t.Errorf("there was nothing to learn: %v, %v", commit, err)
	}
}

func TestAStreamThatIsLeftEarlyLeavesNothingBehind(t *testing.T) {
	client := connected(t)
	user := client.User(t.Name())
	// The first stream connects, and what the connection needs stays.
	leave := func() {
		for event, err := range user.Watch(t.Context(), nil) {
			if err != nil || event.GetBookmark() == nil {
				t.Fatalf("%v, %v", event, err)
			}
			break
		}
		for event, err := range user.Extract(t.Context(), memsvc.FromText("I love chess."), nil) {
			if err != nil || event.GetAccepted() == nil {
				t.Fatalf("%v, %v", event, err)
			}
			break
		}
	}
	leave()
	before := runtime.NumGoroutine()
	for range 20 {
		leave()
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range connected(t).User(t.Name()).Watch(ctx, nil) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the last was %v", last)
	}
}

func TestAClientThatIsClosedSaysSo(t *testing.T) {
	client := connected(t)
	user := client.User(t.Name())
	var last error
	for _, err := range user.Watch(t.Context(), nil) {
		last = err
		client.Close()
	}
	_, called := user.Stats(t.Context(), nil)
	for what, err := range map[string]error{"stream": last, "call": called} {
		var failure *memsvc.Error
		if !errors.As(err, &failure) || failure.Reason != memsvc.ReasonClientClosed {
			t.Errorf("the %s ended with %v", what, err)
		}
	}
}

func TestListsAreReadPageByPageAndFromTheStart(t *testing.T) {
	user := connected(t).User(t.Name())
	var operations []*memsvc.Operation
	for number := range 7 {
		operations = append(operations, memsvc.CreateOperation(&memsvc.Memory{Text: fmt.Sprint("Number ", number)}))
	}
	if _, err := user.Memories.Batch(t.Context(), operations, nil); err != nil {
		t.Fatal(err)
	}
	list := user.Memories.List(t.Context(), &memsvc.ListOptions{PageSize: 3})
	for range 2 {
		all, err := memsvc.Collect(list)
		if err != nil || len(all) != 7 {
			t.Errorf("%d memories, %v", len(all), err)
		}
	}
}

func TestAnErrorSaysItsReasonAndTheFields(t *testing.T) {
	user := connected(t).User(t.Name())
	_, err := user.Memories.Add(t.Context(), &memsvc.Memory{Text: "Skis", Key: "1a"}, nil)
	var failure *memsvc.Error
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	if failure.Code != codes.InvalidArgument || failure.Reason != memsvc.ReasonInvalidField || failure.Fields[0].Field != "memory.key" {
		t.Errorf("%#v", failure)
	}
}

func TestWhatMakesNoSenseIsRefusedBeforeItIsSent(t *testing.T) {
	client := connected(t)
	user := client.User("sarah")
	ctx := t.Context()
	nobody := client.User("")
	refused := map[string]error{
		"a user without an id":      second(nobody.Context(ctx, "", nil)),
		"a list of nobody":          second(memsvc.Collect(nobody.Memories.List(ctx, nil))),
		"a stream of nobody":        second(memsvc.Collect(nobody.Watch(ctx, nil))),
		"a memory without a name":   second(user.Memories.Get(ctx, memsvc.ByID(""), nil)),
		"an update of nothing":      second(user.Memories.Update(ctx, memsvc.ByID("x"), nil, nil, nil)),
		"an upsert of nothing":      second(user.Memories.Upsert(ctx, memsvc.LayerProfile, "role", nil, nil, nil)),
		"a value that is no JSON":   second(user.Memories.Upsert(ctx, memsvc.LayerProfile, "role", func() {}, nil, nil)),
		"a clear of who knows what": second(user.Memories.Clear(ctx, nil)),
		"a restore of nothing":      second(user.Memories.Restore(ctx, 1, nil)),
		"two budgets":               second(user.Context(ctx, "", &memsvc.ContextOptions{MaxTokens: 50, MaxCharacters: 200})),
		"no setting":                second(client.Config.Update(ctx, nil, nil, nil)),
		"an empty text":             second(user.Learn(ctx, memsvc.FromText(""), nil)),
		"what no model answered":    second(user.RunToolCalls(ctx, 7, nil)),
	}
	for what, err := range refused {
		var argument *memsvc.ArgumentError
		if !errors.As(err, &argument) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAUserIsMovedToAnother(t *testing.T) {
	ctx, client := t.Context(), connected(t)
	from, to := client.User(t.Name()), client.User(t.Name()+" again")
	for part := range 2 {
		var operations []*memsvc.Operation
		for number := range 300 {
			operations = append(operations, memsvc.CreateOperation(&memsvc.Memory{Text: fmt.Sprintf("Number %d of part %d", number, part)}))
		}
		if _, err := from.Memories.Batch(ctx, operations, nil); err != nil {
			t.Fatal(err)
		}
	}
	records, err := memsvc.Collect(from.Export(ctx))
	if err != nil || len(records) != 600 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	calls := 0
	imported, err := to.Import(ctx, records, &memsvc.ImportOptions{Progress: func(*memsvc.Imported) { calls++ }})
	if err != nil || imported.CreatedCount != 600 || calls != 2 {
		t.Fatalf("%d created in %d calls, %v", imported.CreatedCount, calls, err)
	}
	records[550].GetMemory().Text = ""
	_, err = to.Import(ctx, records, &memsvc.ImportOptions{Mode: memsvc.ImportModeSkip})
	var failure *memsvc.Error
	if !errors.As(err, &failure) || len(failure.Fields) != 1 || failure.Fields[0].Field != "records[550].memory.text" {
		t.Errorf("%v", err)
	}
	stats, err := to.Stats(ctx, nil)
	if err != nil || stats.GetMemoryCount() != 600 {
		t.Errorf("%v, %v", stats, err)
	}
	erased, err := to.Erase(ctx, nil)
	if err != nil || erased.GetErasedMemoryCount() != 600 {
		t.Errorf("%v, %v", erased, err)
	}
}

func TestANamespaceIsListedAndErased(t *testing.T) {
	ctx, client := t.Context(), connected(t, memsvc.WithNamespace(t.Name()))
	for _, id := range []string{"a", "b", "c"} {
		if _, err := client.User(id).Memories.Add(ctx, &memsvc.Memory{Text: "Skis"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if users, err := memsvc.Collect(client.Users(ctx)); err != nil || strings.Join(users, "") != "abc" {
		t.Errorf("%v, %v", users, err)
	}
	if retried, err := client.RetryAll(ctx); err != nil || retried != 0 {
		t.Errorf("%d, %v", retried, err)
	}
	erased, err := client.EraseNamespace(ctx, t.Name(), t.Name(), nil)
	if err != nil || erased.ErasedUserCount != 3 || erased.ErasedMemoryCount != 3 {
		t.Errorf("%v, %v", erased, err)
	}
}

func TestToolsAreCalledOnceByTheirID(t *testing.T) {
	ctx, client := t.Context(), connected(t, memsvc.WithNamespace(t.Name()))
	mode := &memsvc.Settings{Mode: memsvc.LearningModeBoth}
	if _, err := client.Config.Update(ctx, mode, []string{"mode"}, nil); err != nil {
		t.Fatal(err)
	}
	user := client.User("sarah")
	said := json.RawMessage(`{"role": "assistant", "content": [
		{"type": "text", "text": "I will remember that."},
		{"type": "tool_use", "id": "c1", "name": "save_memory", "input": {"layer": "knowledge", "text": "Has a dog"}},
		{"type": "tool_use", "id": "c2", "name": "get_weather", "input": {}}]}`)
	for range 2 {
		answers, err := user.RunToolCalls(ctx, said, nil)
		if err != nil || len(answers) != 1 {
			t.Fatalf("%v, %v", answers, err)
		}
	}
	if all, err := memsvc.Collect(user.Memories.List(ctx, nil)); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTheGeneratedClientsShareTheConnection(t *testing.T) {
	client := connected(t)
	info, err := memsvcv1.NewAdminServiceClient(client.Connection()).GetServerInfo(t.Context(), &memsvcv1.GetServerInfoRequest{})
	if err != nil || info.GetDriver() != "sqlite" {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAStrangerRunsTheReadmesExample(t *testing.T) {
	connected(t)
	shown, err := exec.CommandContext(t.Context(), "../stranger", address).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if !strings.Contains(string(shown), "skiing") {
		t.Errorf("the example printed %s", shown)
	}
}

func second[T any](_ T, err error) error { return err }

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal(what)
		}
	}
}
