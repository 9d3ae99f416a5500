-- Workspaces name their own states; reports and triggers only know the four categories.
-- The categories are code, not data, which is what an enum is for.
CREATE TYPE state_category AS ENUM ('backlog', 'active', 'done', 'canceled');

CREATE TABLE workflow_states (
    id         bigint         GENERATED ALWAYS AS IDENTITY,
    name       text           NOT NULL,
    category   state_category NOT NULL,
    position   smallint       NOT NULL,
    color      text           NOT NULL DEFAULT '#8a8f98',
    is_default boolean        NOT NULL DEFAULT false,
    CONSTRAINT workflow_states_pkey     PRIMARY KEY (id),
    CONSTRAINT workflow_states_name_key UNIQUE (name),
    -- Deferrable: reordering swaps positions, and the rows in between collide.
    CONSTRAINT workflow_states_position_key UNIQUE (position) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT workflow_states_color        CHECK (color ~ '^#[0-9a-f]{6}$')
);

CREATE UNIQUE INDEX workflow_states_one_default_key ON workflow_states (is_default) WHERE is_default;

INSERT INTO workflow_states (name, category, position, color, is_default) VALUES
    ('Backlog',     'backlog',  10, '#8a8f98', false),
    ('To do',       'backlog',  20, '#d9dbe0', true),
    ('In progress', 'active',   30, '#f2c94c', false),
    ('In review',   'active',   40, '#5e9bea', false),
    ('Done',        'done',     50, '#4cb782', false),
    ('Canceled',    'canceled', 60, '#5a5f69', false);
