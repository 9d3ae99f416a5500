package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"
)

// failure is an error that the client may see: what happened and what to do, without a word
// about other tenants, addresses or credentials.
type failure struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func fails(status int, code, message string) failure {
	return failure{Status: status, Code: code, Message: message}
}

func (f failure) Error() string { return f.Code + ": " + f.Message }

var unavailable = fails(http.StatusServiceUnavailable, "Unavailable", "the tenant's data cannot be reached now; try again")

// SQLSTATEs that are the request's fault or the schema's age (errcodes.txt).
const (
	codeUniqueViolation = "23505"
	codeCheckViolation  = "23514"
	codeTextTooLong     = "22001"
	codeBadText         = "22021" // A NUL byte or bad UTF-8 in a value.
	codeUndefinedTable  = "42P01"
	codeUndefinedColumn = "42703"
)

// explain turns any error into what the client is told.
func explain(err error, tenant string) failure {
	var f failure
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, errUnknownTenant):
		return fails(http.StatusNotFound, "UnknownTenant", fmt.Sprintf("there is no tenant %q", tenant))
	case errors.Is(err, errNotBound):
		return fails(http.StatusServiceUnavailable, "TenantNotReady",
			"the tenant has no credentials yet; see the conditions of its Tenant")
	case errors.Is(err, errWrongSchema):
		return fails(http.StatusServiceUnavailable, "WrongSchema",
			"the connection does not lead to this tenant's schema; nothing was read or written")
	case errors.Is(err, errHolderUnknown):
		return fails(http.StatusServiceUnavailable, "Unavailable", "cannot find out whose host this is; try again")
	case errors.Is(err, errBusy):
		return fails(http.StatusServiceUnavailable, "Busy", "too many tenants are active; try again")
	case errors.Is(err, context.DeadlineExceeded):
		return fails(http.StatusGatewayTimeout, "Timeout", "the database did not answer in time")
	case loginRefused(err):
		return fails(http.StatusServiceUnavailable, "LoginRefused",
			"the database refused the tenant's login; see the conditions of its Tenant")
	case errors.As(err, &pgErr):
		return explainSQL(pgErr)
	default:
		return unavailable
	}
}

func explainSQL(err *pgconn.PgError) failure {
	switch err.Code {
	case codeUniqueViolation:
		return fails(http.StatusConflict, "AlreadyExists", "there is one already ("+err.ConstraintName+")")
	case codeCheckViolation:
		return fails(http.StatusUnprocessableEntity, "Invalid", "a value breaks the rule "+err.ConstraintName)
	case codeTextTooLong, codeBadText:
		return fails(http.StatusUnprocessableEntity, "Invalid", "a value cannot be stored: "+err.Message)
	case codeUndefinedTable, codeUndefinedColumn:
		return fails(http.StatusServiceUnavailable, "SchemaTooOld",
			"the tenant's schema is not migrated far enough for this request; try again later")
	default:
		return unavailable
	}
}
