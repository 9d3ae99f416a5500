CREATE TABLE labels (
    id    bigint GENERATED ALWAYS AS IDENTITY,
    name  text   NOT NULL,
    color text   NOT NULL DEFAULT '#8a8f98',
    CONSTRAINT labels_pkey  PRIMARY KEY (id),
    CONSTRAINT labels_name  CHECK (length(name) BETWEEN 1 AND 50),
    CONSTRAINT labels_color CHECK (color ~ '^#[0-9a-f]{6}$')
);

CREATE UNIQUE INDEX labels_name_key ON labels (lower(name));

CREATE TABLE task_labels (
    task_id  bigint NOT NULL,
    label_id bigint NOT NULL,
    CONSTRAINT task_labels_pkey          PRIMARY KEY (task_id, label_id),
    CONSTRAINT task_labels_task_id_fkey  FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT task_labels_label_id_fkey FOREIGN KEY (label_id) REFERENCES labels (id) ON DELETE CASCADE
);

CREATE INDEX task_labels_label_id_idx ON task_labels (label_id);

INSERT INTO labels (name, color) VALUES
    ('Bug',         '#eb5757'),
    ('Feature',     '#5e6ad2'),
    ('Improvement', '#4ea7fc');
