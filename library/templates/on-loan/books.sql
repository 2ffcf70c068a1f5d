-- What one member has on loan when the mail is made. Nothing left: the mail is skipped.
SELECT title, author, due FROM v_on_loan WHERE member_id = :member_id ORDER BY due, title
