package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/jackc/pgx/v5"
)

// workspace is the first page: whose data this is and what is in it.
type workspace struct {
	Tenant        string    `json:"tenant"`
	Name          string    `json:"name"`
	Schema        string    `json:"schema"`
	SchemaVersion string    `json:"schemaVersion"`
	Projects      []project `json:"projects"`
}

func showWorkspace(ctx context.Context, tx pgx.Tx, b Binding, _ *http.Request) (answer, error) {
	name, err := workspaceName(ctx, tx)
	if err != nil {
		return answer{}, err
	}
	projects, err := listProjects(ctx, tx)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, workspace{
		Tenant: b.Tenant, Name: name, Schema: b.Schema, SchemaVersion: b.Version, Projects: projects,
	}}, nil
}

func showIdentity(ctx context.Context, tx pgx.Tx, b Binding, _ *http.Request) (answer, error) {
	id, err := whoAmI(ctx, tx, b)
	return answer{http.StatusOK, id}, err
}

func showProjects(ctx context.Context, tx pgx.Tx, b Binding, _ *http.Request) (answer, error) {
	projects, err := listProjects(ctx, tx)
	return answer{http.StatusOK, map[string]any{"tenant": b.Tenant, "projects": projects}}, err
}

func createProject(ctx context.Context, tx pgx.Tx, _ Binding, r *http.Request) (answer, error) {
	var in struct{ Key, Name, Description string }
	if err := readJSON(r, &in); err != nil {
		return answer{}, err
	}
	p, err := insertProject(ctx, tx, in.Key, in.Name, in.Description)
	return answer{http.StatusCreated, p}, err
}

func showTasks(ctx context.Context, tx pgx.Tx, b Binding, r *http.Request) (answer, error) {
	tasks, err := listTasks(ctx, tx, r.URL.Query().Get("project"))
	return answer{http.StatusOK, map[string]any{"tenant": b.Tenant, "tasks": tasks}}, err
}

// readJSON reads one JSON object, and refuses fields that nobody would read.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.Decode(&struct{}{}) != io.EOF {
		err = errors.New("more than one JSON value")
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return fails(http.StatusRequestEntityTooLarge, "TooLarge", "the body is too large")
	}
	if err != nil {
		return fails(http.StatusBadRequest, "InvalidBody", "the body is no JSON object as this route wants it: "+err.Error())
	}
	return nil
}
