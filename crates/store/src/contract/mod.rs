//! What every store promises, as cases that a store passes or fails.
//!
//! One file for each promise. A case is a function from a [`Subject`] (a store that can be opened, closed and opened
//! again) to nothing: it panics where the promise is broken. [`contract!`](crate::contract!) makes a test of each
//! case, so a new store is held to all of them by one line. Time comes from a clock that the case moves by hand; no
//! case sleeps.
//!
//! The cases see a store through its port alone. What only one store promises (its files, its lock) is tested in
//! its own crate.

pub mod attempts;
pub mod businesses;
pub mod commit;
pub mod desk;
pub mod epoch;
pub mod erase;
pub mod external_ids;
pub mod fencing;
pub mod heads;
pub mod idempotency;
pub mod lanes;
pub mod log;
pub mod matching;
pub mod named_commit;
pub mod notices;
pub mod operations;
pub mod past;
pub mod prune;
pub mod reopen;
pub mod scans;
pub mod settings;
pub mod settle;
pub mod sweep;
pub mod turns;
pub mod types;
pub mod uploads;

use crate::Store;
use async_trait::async_trait;
use lockstep_core::clock::Clock;
use std::sync::Arc;

/// A store under test, with the data of one case.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the store: empty the first time, later with what the one before it left. Whoever calls has closed that
    /// one. A store that outlives nothing gives the same one again.
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Store>;

    /// Gives every log of the closed store its next epoch, as a restore does.
    async fn begin_epoch(&self, clock: Arc<dyn Clock>);

    /// Whether a closed store is shut for good, so that opening again means reading again.
    fn is_durable(&self) -> bool;
}

/// Makes a test of every case of the contract for one kind of store.
///
/// The argument is an expression that gives a fresh [`Subject`](crate::contract::Subject); it is read inside
/// modules, so it names its type from `crate::`.
#[macro_export]
macro_rules! contract {
    ($subject:expr) => {
        $crate::contract!(@ $subject;
            attempts {
                attempts_come_newest_first
                attempts_are_found_by_subscription_and_business_only
                many_failures_elsewhere_hide_none
                an_attempt_reads_back_whole
            }
            businesses {
                the_same_record_id_means_another_record_elsewhere
                the_same_external_id_means_another_record_elsewhere
                the_same_idempotency_key_means_another_request_elsewhere
                operations_are_read_in_their_business_alone
                work_rows_stay_in_their_business
                what_has_no_log_is_unknown
            }
            commit {
                all_that_a_command_brings_is_written_together
                a_commit_is_all_or_nothing
                later_commands_see_earlier_ones
                a_bad_command_fails_alone
                a_write_that_changes_nothing_makes_no_change
                a_record_made_and_deleted_in_one_commit_is_one_tombstone
                an_update_asks_for_the_version_that_stands
                values_read_back_as_they_were_written
                counts_are_kept_with_each_commit
                time_never_goes_back_in_a_business
                an_empty_commit_is_no_trouble
            }
            epoch {
                a_head_is_the_place_of_the_newest_change
                no_operation_of_a_new_epoch_has_an_id_of_an_old_one
            }
            external_ids {
                a_known_external_id_updates_its_record
                a_deleted_record_is_revived_by_its_external_id
                an_external_id_moves_only_by_force
                a_detached_external_id_is_free_again
                a_new_id_of_the_same_place_frees_the_old_one
                ids_of_other_objects_and_realms_are_others
                external_ids_are_known_after_reopening
            }
            erase {
                an_erased_record_keeps_its_id_and_nothing_else
                an_erased_external_id_makes_a_new_record
                a_tombstone_can_be_erased_and_is_counted_once
                what_an_endpoint_said_of_an_erased_record_is_blanked
                a_long_past_is_blanked_in_turns_and_after_reopening
            }
            fencing {
                a_claim_raises_the_fence
                a_stale_fence_is_refused
                a_stale_settle_ends_no_sync
                fences_outlive_the_store
            }
            heads {
                a_watch_tells_of_changes_that_can_be_read
                a_watch_tells_of_notices_that_can_be_read
                a_watch_tells_of_settings_that_can_be_read
                a_watch_names_only_what_has_moved
                every_watch_is_told
            }
            idempotency {
                a_repeated_key_is_answered_as_before
                a_repeated_key_is_answered_as_before_after_reopening
                failures_and_blanks_are_remembered_too
                a_key_used_for_another_request_is_refused
                a_key_expires
                a_key_used_at_once_by_many_has_effect_once
            }
            lanes {
                a_lane_begins_where_it_was_asked_to
                a_lane_begins_at_the_head_of_its_own_commit
                a_business_and_its_first_lane_come_together
                a_dropped_subscription_leaves_no_rows
            }
            log {
                seqs_have_no_holes_under_many_committers
                a_reader_sees_a_prefix_while_others_write
                pages_follow_each_other
                large_changes_still_page
                one_change_is_found_by_its_seq
                a_chain_is_oldest_first
                what_a_chain_names_can_be_read
                a_page_knows_the_settings_completed_before_it
                a_page_is_no_older_than_the_settings_before_its_changes
            }
            matching {
                a_value_is_found_while_it_stands
                a_batch_matches_what_it_made_itself
                of_several_that_match_none_is_written
                long_values_are_compared_whole
            }
            named_commit {
                a_repeated_commit_has_effect_once
                a_repeated_control_has_effect_once
                commit_names_outlive_the_store
                a_commit_repeated_at_once_has_effect_once
                a_refused_control_is_not_remembered
                a_failed_commit_is_not_remembered
            }
            notices {
                notices_come_in_row_order
                a_notice_put_off_says_when
                a_settled_notice_is_gone
                a_sync_ends_with_its_last_notice
                a_sync_told_twice_counts_once
                notices_of_one_id_end_together
                a_sync_of_nothing_ends_at_once
                the_end_of_a_command_is_told
                notices_outlive_the_store
            }
            operations {
                an_operation_without_a_change_has_a_row
                an_operation_of_one_change_needs_none
                operations_outlive_the_store
            }
            past {
                a_history_is_newest_first
                records_come_in_pages_by_id
                large_records_still_page
            }
            prune {
                a_pruned_log_has_no_holes_above_its_floor
                what_an_outlet_needs_is_not_pruned
                a_long_log_is_pruned_in_turns
                a_lane_begins_no_lower_than_the_floor
                a_record_outlives_its_pruned_changes
                a_lapsed_subscription_goes_on_at_the_head
            }
            reopen {
                everything_is_there_after_reopening
                a_closed_store_takes_no_more
                closing_finishes_what_waits
            }
            scans {
                a_scan_keeps_its_place_and_ends
                what_is_put_off_is_waited_for
                a_dropped_subscription_is_waited_for_no_more
                a_replay_begins_with_its_operation
            }
            settings {
                a_put_believes_what_stands
                of_two_that_make_the_same_one_wins
                a_control_is_all_or_nothing
                a_control_that_names_an_unknown_business_writes_nothing
                settings_are_read_from_a_version_on
                a_removed_setting_says_so
                every_kind_of_setting_reads_back
                the_audit_log_is_read_newest_first_by_business_or_whole
            }
            settle {
                a_settle_is_all_or_nothing
                cursors_move_and_rejoin
                a_parked_record_is_one_row
                a_down_endpoint_is_one_row
                dead_letters_are_kept_and_dismissed
                dead_letters_come_in_pages
                work_rows_outlive_the_store
            }
            sweep {
                idempotency_keys_are_kept_for_their_time
                operations_are_kept_for_their_time
                commit_names_are_kept_for_their_time
                attempts_are_kept_for_their_time
                records_changes_and_settings_are_never_swept
            }
            turns {
                only_what_differs_from_the_shadow_is_an_edit
                an_object_is_recognised
                what_was_left_out_comes_when_it_changes
                a_problem_opens_and_closes_by_itself
                a_write_is_kept_with_its_id
                counts_and_checkpoint_come_with_the_lines
                a_hint_is_settled_by_who_saw_the_newest
                rows_are_paged_and_end_with_their_share
                what_a_share_has_yet_to_follow_is_kept
                an_erased_record_leaves_no_shadow
            }
            types {
                a_type_is_in_force_from_its_commit_on
                a_command_of_a_type_that_is_gone_is_refused_alone
                a_refused_control_changes_no_type
                a_unique_value_has_one_holder
                an_index_is_built_over_what_stands
                an_index_asked_for_again_ends_right
                matching_goes_on_while_an_index_changes
                entries_come_in_order_either_way
                a_bad_commit_forgets_no_type
            }
            uploads {
                a_batch_is_durable_with_its_outcomes
                a_batch_out_of_turn_is_refused_whole
                the_last_batch_ends_the_upload
                uploads_and_single_commands_share_the_writer
            }
        );
    };
    (@ $subject:expr; $($module:ident { $($case:ident)* })*) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::contract::$module::$case(&$subject).await;
            })*
        })*
    };
}
