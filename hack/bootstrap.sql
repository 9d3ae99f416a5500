-- Prepares one database for Tenantry. Run it once for each database, as a superuser or, on a
-- managed server, as the admin login (CREATEROLE and CREATEDB are enough), connected to any
-- database that is there already, such as postgres:
--
--   psql -v database=shop -v login=shop_operator -f hack/bootstrap.sql -c '\password shop_operator'
--
-- \password asks for the password and sends only its SCRAM verifier, so that neither the server's
-- log nor pg_stat_activity ever holds the password itself. Put login, password and database into
-- the Secret that the TenantDatabase names.
--
-- PostgreSQL 16 or newer is advised: on 15 a CREATEROLE login can give itself rights over the
-- whole server. Other databases of the same server (postgres, template1) let every login in, also
-- tenants', unless you say REVOKE CONNECT ON DATABASE ... FROM PUBLIC there; do so if they hold data.

\set ON_ERROR_STOP on

-- CREATEROLE, for the roles of tenants; nothing else beyond what a plain login has.
CREATE ROLE :"login" LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS;

-- An admin who is no superuser must be a member of the role that a database is to belong to.
GRANT :"login" TO CURRENT_USER;

-- template0 holds nothing that somebody may have added to template1.
CREATE DATABASE :"database" OWNER :"login" TEMPLATE template0 ENCODING 'UTF8';

-- By default every login of the server may connect to a new database and make temporary tables in
-- it. The operator grants CONNECT to its tenants' group role alone.
REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;

\connect :"database"

-- Nor may tenants see or make anything in the schema public.
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- The database is ready; the admin needs the membership no more.
REVOKE :"login" FROM CURRENT_USER;
