-- What was booked for one customer in the period. The names with a colon are params of the mail; they are bound, never pasted.
SELECT booked, document, description, amount
FROM v_statement
WHERE customer_id = :customer_id AND booked BETWEEN :from AND :to
ORDER BY booked, document
